// Fills in the stages of a check while it runs, from one stream; at its end, shows the result.
// Whatever breaks - the stream, the network, the server, the machine's sleep - the page stays as
// it is, says so, and goes on by itself.
(() => {
  const SOON = 1000;
  const LATEST = 10000; // between two tries while there is no connection
  const SILENCE = 15000; // without news of the stream: is it still there?
  const SLEPT = 5000; // a tick that comes later than this was not late, the machine slept

  const notice = document.getElementById("connection");
  const doing = document.getElementById("now-doing");
  const elapsed = document.getElementById("elapsed");
  const began = Date.now() - elapsed.textContent * 1000;
  const ladder = () => document.querySelector("[data-follow]");

  let source;
  let leaving = false; // whoever follows a link now must not be held back by a reload
  let pause = SOON;
  let timer;
  let heard = Date.now();
  let looking = false;

  const say = (words) => {
    if (doing.textContent !== words) doing.textContent = words;
  };
  const lost = (is) => {
    const words = is ? notice.dataset.lost : "";
    if (notice.textContent !== words) notice.textContent = words;
    notice.className = is ? "alert alert-warning" : "";
  };

  function close() {
    clearTimeout(timer);
    source?.close();
    source = undefined;
  }

  function follow() {
    close();
    heard = Date.now();
    source = new EventSource(ladder().dataset.follow);
    source.addEventListener("stages", (event) => {
      const { rungs, said } = JSON.parse(event.data);
      for (const [stage, html] of Object.entries(rungs)) {
        const rung = document.getElementById(`stage-${stage}`);
        if (rung) rung.outerHTML = html; // that of the access token is not always there
      }
      say(said);
      lost(false);
      heard = Date.now();
      pause = SOON;
    });
    source.addEventListener("end", (event) => {
      close();
      say(JSON.parse(event.data).said);
      look();
    });
    source.addEventListener("error", () => {
      // Refused (CLOSED), as where too many checks are followed: looking will do. Else broken.
      if (source.readyState !== EventSource.CLOSED) lost(true);
      close();
      later();
    });
  }

  function later() {
    clearTimeout(timer);
    timer = setTimeout(look, pause);
    pause = Math.min(pause * 2, LATEST);
  }

  // Ask for the page itself: it has the stages so far, or is the result. Only a page that was
  // there a moment ago is gone to.
  async function look() {
    if (leaving || looking) return;
    looking = true;
    close();
    heard = Date.now();
    try {
      const reply = await fetch(location.href, { cache: "no-store", signal: AbortSignal.timeout(LATEST) });
      if (reply.status === 429 || reply.status >= 500) throw new Error(`${reply.status}`);
      const page = new DOMParser().parseFromString(await reply.text(), "text/html");
      const fresh = page.querySelector("[data-follow]");
      lost(false);
      if (leaving) return;
      if (!fresh) {
        location.reload(); // the result, or why there is none: signed out, removed
        return;
      }
      ladder().replaceChildren(...fresh.children);
      say(page.getElementById("now-doing").textContent);
      timer = setTimeout(follow, pause);
    } catch {
      lost(true);
      later();
    } finally {
      looking = false;
    }
  }

  addEventListener("beforeunload", () => {
    leaving = true;
    heard = Date.now();
    close();
  });
  addEventListener("pageshow", (event) => {
    if (!event.persisted) return;
    leaving = false; // the browser kept this page while another was shown
    look();
  });
  addEventListener("online", look);

  let ticked = Date.now();
  setInterval(() => {
    const now = Date.now();
    elapsed.textContent = Math.max(0, Math.round((now - began) / 1000));
    if (now - ticked > SLEPT || now - heard > SILENCE) {
      leaving = false; // to a page that never came
      look();
    }
    ticked = now;
  }, 1000);

  follow();
})();
