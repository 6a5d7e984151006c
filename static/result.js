// The result of a check: copies the diagnosis, and looks again when the reader comes back from
// the mailbox where the test mail is awaited.
(() => {
  const button = document.querySelector("[data-copy]");
  const text = document.getElementById(button.dataset.copy);
  const label = button.textContent;
  const answer = (words) => {
    button.textContent = words;
    setTimeout(() => { button.textContent = label; }, 2500);
  };
  const select = () => {
    text.closest("details").open = true;
    getSelection().selectAllChildren(text);
    text.focus();
    answer(button.dataset.failed);
  };
  button.setAttribute("aria-live", "polite");
  button.hidden = false;
  button.addEventListener("click", async () => {
    try {
      // Not there over plain http, and may be forbidden
      await navigator.clipboard.writeText(text.textContent);
      answer(button.dataset.done);
    } catch {
      select();
    }
  });

  if (document.querySelector("[data-awaited]")) {
    let left = document.hidden;
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) left = true;
      else if (left) location.reload();
    });
  }
})();
