// Put the SMTP servers of an app into order by dragging their handles or with the arrow keys on them.
// The buttons "up" and "down" post the same form; without this script they load the page anew.
const told = document.getElementById("order-told");
const form = document.getElementById("smtps");

let busy = Promise.resolve(); // one move after the other: each needs the versions of the last

const rowOf = (id) => document.getElementById(`smtp-${id}`);
const rowsNow = () => document.getElementById("smtp-rows");

function showHandles() {
  for (const handle of rowsNow().querySelectorAll("[data-handle]")) handle.hidden = false;
}

// What is said of a move stands at its row; here it is said to a screen reader.
function announce(text) {
  told.textContent = text.trim();
}

function sayAtRow(id, text) {
  for (const old of document.querySelectorAll(".row-said")) old.remove();
  const line = document.getElementById("row-said").content.firstElementChild.cloneNode(true);
  line.querySelector("span").textContent = text;
  rowOf(id)?.append(line);
  show(line);
  announce(text);
}

// What is said must be seen, also below the last row that is seen.
function show(line) {
  line?.scrollIntoView({ block: "nearest" });
}

// Post the form as it stands, with this one value more; show the list that comes back.
async function post(url, name, id, focus) {
  const data = new URLSearchParams(new FormData(form));
  data.append(name, id);
  told.textContent = told.dataset.busy;
  try {
    const reply = await fetch(url, { method: "POST", body: data });
    const page = new DOMParser().parseFromString(await reply.text(), "text/html");
    const fresh = page.getElementById("smtp-rows");
    if (!reply.ok || !fresh) throw new Error(`${reply.status}`);
    if (!page.getElementById(`smtp-${id}`)) {
      location.assign(reply.url); // it went over the edge of this page
      return;
    }
    rowsNow().replaceWith(document.adoptNode(fresh));
    showHandles();
    announce(rowOf(id).querySelector(".row-said span")?.textContent ?? "");
    (rowOf(id).querySelector(focus) ?? rowOf(id).querySelector("[data-handle]"))?.focus();
    show(rowOf(id).querySelector(".row-said"));
  } catch {
    sayAtRow(id, told.dataset.failed);
  }
}

const then = (...move) => { busy = busy.then(() => post(...move)); };
const urlOf = () => rowsNow().querySelector("[formaction*='/order']").getAttribute("formaction");

function step(name, id, focus) {
  // At the end of the list there is no such button, and nowhere to go.
  if (rowOf(id)?.querySelector(`button[name=${name}]`)) then(urlOf(), name, id, focus);
}

function onClick(event) {
  const button = event.target.closest(".row-move");
  if (!button) return;
  event.preventDefault();
  busy = busy.then(() => step(button.name, button.value, `button[name=${button.name}]`));
}

function onKey(event) {
  const id = event.target.dataset?.handle;
  const name = { ArrowUp: "up", ArrowDown: "down" }[event.key];
  if (!id || !name) return;
  event.preventDefault();
  busy = busy.then(() => step(name, id, "[data-handle]"));
}

function onPointer(event) {
  const handle = event.target.closest("[data-handle]");
  if (!handle || event.button !== 0) return;
  event.preventDefault(); // no text is selected
  handle.focus();
  const row = handle.closest("li");
  const before = [...rowsNow().children];
  let from = event.pageY; // where the pointer would be if the row stood where it is drawn
  handle.setPointerCapture(event.pointerId);
  row.classList.add("row-dragged");

  const drag = (moved) => {
    // The neighbour goes past the row, not the row past it: moved, it would lose the pointer.
    const pass = (other, place) => {
      const top = row.offsetTop;
      row[place](other);
      from += row.offsetTop - top;
    };
    const middle = (one) => {
      const box = one.getBoundingClientRect();
      return box.top + box.height / 2;
    };
    const above = row.previousElementSibling;
    const below = row.nextElementSibling;
    if (above && moved.clientY < middle(above)) pass(above, "after");
    else if (below && moved.clientY > middle(below)) pass(below, "before");
    row.style.setProperty("transform", `translateY(${moved.pageY - from}px)`);
    if (moved.clientY < 60) scrollBy(0, -12);
    else if (moved.clientY > innerHeight - 60) scrollBy(0, 12);
  };
  const drop = (ended) => {
    handle.removeEventListener("pointermove", drag);
    for (const name of ["pointerup", "pointercancel"]) handle.removeEventListener(name, drop);
    document.removeEventListener("keydown", escape, true);
    row.classList.remove("row-dragged");
    row.style.removeProperty("transform");
    const changed = before.some((one, index) => rowsNow().children[index] !== one);
    if (!changed) return;
    if (ended.type === "pointerup") then(urlOf(), "moved", handle.dataset.handle, "[data-handle]");
    else rowsNow().replaceChildren(...before);
  };
  const escape = (pressed) => {
    if (pressed.key === "Escape") drop(pressed);
  };
  handle.addEventListener("pointermove", drag);
  handle.addEventListener("pointerup", drop);
  handle.addEventListener("pointercancel", drop);
  document.addEventListener("keydown", escape, true);
}

if (form) {
  showHandles();
  form.addEventListener("click", onClick);
  form.addEventListener("keydown", onKey);
  form.addEventListener("pointerdown", onPointer);
}
