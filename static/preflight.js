// What is likely to fail is asked of the server while somebody types.
const PATIENCE = 400; // milliseconds after the last key

const form = document.querySelector("form[data-preflight]");
const JUDGED = ["server", "host", "encryption", "port", "auth", "smtp_login", "smtp_secret", "defaultfromemail"];
let timer;
let latest = 0;

async function ask() {
  clearTimeout(timer);
  const number = ++latest;
  let reply;
  try {
    reply = await fetch(form.dataset.preflight, { method: "POST", body: new FormData(form) });
  } catch {
    return; // the network is away; saving says the same
  }
  const isAnswer = reply.ok && reply.headers.get("Content-Type")?.startsWith("application/json");
  if (isAnswer && number === latest) show(await reply.json());
}

function show({ warnings, hints }) {
  const blank = document.getElementById("field-warning").content;
  for (const [name, texts] of Object.entries(warnings)) {
    const place = document.getElementById(`${name}-warnings`);
    const shown = [...place.querySelectorAll("span")].map((one) => one.textContent);
    if (shown.join("\n") === texts.join("\n")) continue; // else a screen reader says it again
    place.replaceChildren(
      ...texts.map((text) => {
        const line = blank.cloneNode(true);
        line.querySelector("span").textContent = text;
        return line;
      }),
    );
  }
  for (const [name, text] of Object.entries(hints)) {
    document.getElementById(`${name}-hint`).textContent = text;
  }
}

form.addEventListener("input", (event) => {
  if (!JUDGED.includes(event.target.name)) return;
  clearTimeout(timer);
  timer = setTimeout(ask, PATIENCE);
});
form.addEventListener("preflight", ask); // a script has filled it in
