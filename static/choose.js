// One box that ticks all the others of the page. Without scripts it stays hidden: it could do nothing.
const all = document.getElementById("choose-all");

if (all) {
  const box = all.querySelector("input");
  const form = all.closest("form");
  const choices = () => [...form.querySelectorAll(".row-choice")];
  const agree = () => {
    const ticked = choices().filter((one) => one.checked).length;
    box.checked = ticked > 0 && ticked === choices().length;
    box.indeterminate = ticked > 0 && !box.checked;
  };
  all.hidden = false;
  box.addEventListener("change", () => {
    for (const one of choices()) one.checked = box.checked;
  });
  form.addEventListener("change", agree);
  addEventListener("pageshow", agree); // a browser that goes back keeps what was ticked
}
