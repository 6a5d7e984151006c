// One box that ticks all the others of the page, and a button that counts what is ticked. Without
// scripts the box stays hidden, as it could do nothing, and the button is there without a number.
const all = document.getElementById("choose-all");

if (all) {
  const box = all.querySelector("input");
  const form = all.closest("form");
  const button = document.getElementById("check-chosen");
  const choices = () => [...form.querySelectorAll(".row-choice")];
  const agree = () => {
    const ticked = choices().filter((one) => one.checked).length;
    box.checked = ticked > 0 && ticked === choices().length;
    box.indeterminate = ticked > 0 && !box.checked;
    button.hidden = ticked === 0;
    button.toggleAttribute("data-ticked", ticked > 0);
    button.textContent = ticked === 1 ? button.dataset.one : button.dataset.many.replace("#", ticked);
  };
  all.hidden = false;
  box.addEventListener("change", () => {
    for (const one of choices()) one.checked = box.checked;
  });
  form.addEventListener("change", agree);
  addEventListener("pageshow", agree); // a browser that goes back keeps what was ticked
}
