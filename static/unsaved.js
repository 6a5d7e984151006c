// Asks before a form is left in which something was changed and not sent: by Cancel, by a link, or
// by closing the tab. A form that comes back with what was typed earlier counts as changed.
for (const form of document.querySelectorAll("form[data-unsaved]")) {
  let changed = form.dataset.unsaved === "changed";
  let sending = false;
  const note = () => { changed = true; };
  form.addEventListener("input", note);
  form.addEventListener("change", note);
  form.addEventListener("submit", () => { sending = true; });
  // A page that the browser shows again after it was sent
  addEventListener("pageshow", () => { sending = false; });
  addEventListener("beforeunload", (event) => {
    if (changed && !sending) event.preventDefault();
  });
}
