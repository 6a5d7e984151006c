// Fills in the stages of a check while it runs, from one stream; at its end, shows the result.
(() => {
  const ladder = document.querySelector("[data-follow]");
  const doing = document.getElementById("now-doing");
  const source = new EventSource(ladder.dataset.follow);
  const look = () => {
    if (!leaving) location.reload();
  };
  // Whoever follows a link now must not be held back.
  let leaving = false;
  addEventListener("beforeunload", () => {
    leaving = true;
    source.close();
  });
  const say = (words) => {
    if (doing.textContent !== words) doing.textContent = words;
  };
  source.addEventListener("stages", (event) => {
    const { rungs, said } = JSON.parse(event.data);
    for (const [stage, html] of Object.entries(rungs)) {
      document.getElementById(`stage-${stage}`).outerHTML = html;
    }
    say(said);
  });
  source.addEventListener("end", (event) => {
    source.close();
    say(JSON.parse(event.data).said);
    look();
  });
  // The stream broke off or was refused: look again as a page without scripts does.
  source.addEventListener("error", () => {
    source.close();
    setTimeout(look, 2000);
  });
})();
