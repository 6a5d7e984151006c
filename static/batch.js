// Follow a batch of checks: look again every two seconds while the page is seen, until it ended.
// Without scripts the page reloads itself.
const PACE = 2000;

async function look() {
  if (document.hidden) return true;
  const reply = await fetch(location.href);
  if (reply.status === 429 || reply.status >= 500) throw new Error(`${reply.status}`);
  if (!reply.ok) return false;
  const fresh = new DOMParser().parseFromString(await reply.text(), "text/html").getElementById("batch");
  const shown = document.getElementById("batch");
  if (!fresh) return false; // signed out meanwhile
  // The line that is read out and the bar stay the same elements: only their news is announced.
  const told = document.getElementById("batch-told");
  const news = fresh.querySelector("#batch-told");
  if (told.textContent !== news.textContent) told.textContent = news.textContent;
  const bar = shown.querySelector("progress");
  const freshBar = fresh.querySelector("progress");
  if (bar && freshBar) {
    bar.value = freshBar.value;
    bar.max = freshBar.max;
  }
  const focused = document.activeElement?.getAttribute("href");
  for (const old of [...shown.children]) if (old !== told && old !== bar) old.remove();
  for (const one of [...fresh.children]) if (one !== news && one !== freshBar) shown.append(one);
  if (focused) [...shown.querySelectorAll("a")].find((a) => a.getAttribute("href") === focused)?.focus();
  return "goingOn" in fresh.dataset;
}

function lost(is) {
  const notice = document.getElementById("connection");
  const words = is ? notice.dataset.lost : "";
  if (notice.textContent !== words) notice.textContent = words;
  notice.className = is ? "alert alert-warning" : "";
}

async function follow() {
  let more = true;
  try {
    more = await look();
    lost(false);
  } catch {
    lost(true); // try again
  }
  if (more) setTimeout(follow, PACE);
}

if ("goingOn" in (document.getElementById("batch")?.dataset ?? {})) setTimeout(follow, PACE);
