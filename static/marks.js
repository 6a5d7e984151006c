// Each mark of a bar of checks leads to its check. The bar is a single link, to the history of the
// SMTP server: that is where keys and screen readers go, and everybody without scripts.
const PLACES = 30; // as MARKS in overview.py

function aim(event) {
  const bar = event.target.closest?.("a.row-bar");
  const newest = bar?.parentElement.querySelector(".row-last");
  if (!newest) return;
  const drawing = bar.firstElementChild;
  const box = drawing.getBoundingClientRect();
  const place = Math.floor(((event.clientX - box.left) / box.width) * PLACES);
  const age = PLACES - 1 - Math.min(PLACES - 1, Math.max(0, place));
  bar.dataset.history ??= bar.getAttribute("href");
  bar.href = `${newest.getAttribute("href")}/earlier/${age}`;
  drawing.style.setProperty("--age", age);
}

// The address is that of the mark before the click, so that it also opens in another tab.
document.addEventListener("pointermove", aim);
document.addEventListener("pointerdown", aim);
document.addEventListener("keydown", (event) => {
  const { history } = event.target.dataset ?? {};
  if (history) event.target.href = history;
});
