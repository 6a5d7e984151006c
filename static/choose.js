// One box that ticks all the others of the page. Without scripts it stays hidden: it could do nothing.
const all = document.getElementById("choose-all");

if (all) {
  const box = all.querySelector("input");
  const form = all.closest("form");
  const choices = () => [...form.querySelectorAll(".row-choice")];
  const button = document.getElementById("check-chosen");
  const words = button.textContent;
  const agree = () => {
    const ticked = choices().filter((one) => one.checked).length;
    button.textContent = { 0: words, 1: button.dataset.one }[ticked] ?? button.dataset.many.replace("1000", ticked);
    box.checked = ticked > 0 && ticked === choices().length;
    box.indeterminate = ticked > 0 && !box.checked;
  };
  all.hidden = false;
  box.addEventListener("change", () => {
    for (const one of choices()) one.checked = box.checked;
    agree();
  });
  form.addEventListener("change", agree);
  addEventListener("pageshow", agree); // a browser that goes back keeps what was ticked
}
