// The result of a check: shows by itself that the test email arrived, and opens what is folded
// away for printing.
(() => {
  const OFTEN = 4000;
  const LIMIT = 60 * 60000; // then only where the reader comes back to the page

  const arrival = document.getElementById("arrival");
  const began = Date.now();
  let timer;

  // The parts that change, each in its place: what is open stays open, the reader stays where
  // they are.
  async function show() {
    const reply = await fetch(location.href);
    if (!reply.ok) return;
    const page = new DOMParser().parseFromString(await reply.text(), "text/html");
    const fresh = page.getElementById("arrival");
    if (!fresh || "awaited" in fresh.dataset) return;
    for (const id of ["check-facts", "advice", "diagnosis", "arrival"]) {
      document.getElementById(id).replaceChildren(...page.getElementById(id).childNodes);
    }
    delete arrival.dataset.awaited;
  }

  async function look() {
    clearTimeout(timer);
    const awaited = arrival.dataset.awaited;
    if (!awaited) return;
    if (!document.hidden) {
      try {
        const reply = await fetch(awaited, { redirect: "error" });
        if (reply.ok && (await reply.json()).arrived) await show();
      } catch {
        // The network is away, or the reader signed out: look again later.
      }
    }
    if (Date.now() - began < LIMIT) timer = setTimeout(look, OFTEN);
  }

  if (arrival?.dataset.awaited) {
    timer = setTimeout(look, OFTEN);
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden) look();
    });
  }

  // Not every browser opens them by the rules of the style sheet
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("details:not([open])")];
    for (const one of opened) one.open = true;
  });
  addEventListener("afterprint", () => {
    for (const one of opened) one.open = false;
    opened = [];
  });
})();
