// A button that copies the text or the value of the element that it names. Without scripts it
// stays hidden: it could do nothing.
for (const button of document.querySelectorAll("[data-copy]")) {
  const source = document.getElementById(button.dataset.copy);
  const label = button.textContent;
  const answer = (words) => {
    button.textContent = words;
    setTimeout(() => { button.textContent = label; }, 2500);
  };
  const select = () => {
    if (source.select) source.select();
    else {
      const details = source.closest("details");
      if (details) details.open = true;
      getSelection().selectAllChildren(source);
    }
    source.focus();
    answer(button.dataset.failed);
  };
  button.setAttribute("aria-live", "polite");
  button.hidden = false;
  button.addEventListener("click", async () => {
    try {
      // Not there over plain http, and may be forbidden
      await navigator.clipboard.writeText(source.value ?? source.textContent);
      answer(button.dataset.done);
    } catch {
      select();
    }
  });
}
