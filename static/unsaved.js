// Nothing that was typed is lost. A form asks before it is left with changes; what was typed is
// kept in the tab for ten minutes, passwords aside, and comes back when the form is opened again;
// a form is not sent while smtpweb cannot be reached.
const KEPT = 10 * 60000;
const PATIENCE = 4000;
const PREFIX = "smtpweb draft ";
const NOT_KEPT = ["password", "hidden", "submit", "button", "file"];
const CREDENTIALS = /:\/\/|[^\s/@]+:[^\s@]*@|[?&]\w*pass\w*=|PRIVATE KEY/i;

function drafts() {
  return Object.keys(sessionStorage).filter((key) => key.startsWith(PREFIX));
}

// Without storage, as some browsers have it, a form still asks before it is left.
function read(key) {
  try {
    return JSON.parse(sessionStorage.getItem(key));
  } catch {
    return null;
  }
}

function write(key, draft) {
  try {
    sessionStorage.setItem(key, JSON.stringify(draft));
  } catch {
    // no room, or not allowed
  }
}

// A user name may be as secret as the password: then it is not kept, either.
function isSecret(form, field) {
  if (NOT_KEPT.includes(field.type) || "secret" in field.dataset || !field.name || CREDENTIALS.test(field.value)) return true;
  const passwords = [...form.querySelectorAll("input[type=password]")].map((one) => one.value.trim());
  if (passwords.some((one) => one && field.value.includes(one))) return true;
  if (field.name !== "smtp_login") return false;
  if (!form.dataset.secretNames) return true; // a form that does not say which names are
  const host = form.elements.host.value.trim().toLowerCase();
  return "hidesName" in form.dataset || JSON.parse(form.dataset.secretNames).includes(host);
}

function valuesOf(form) {
  return [...form.elements]
    .filter((field) => !isSecret(form, field))
    .map((field) => {
      const isBox = field.type === "checkbox" || field.type === "radio";
      return [field.name, isBox ? field.value : "", isBox ? field.checked : field.value];
    });
}

function fill(form, values) {
  for (const [name, choice, value] of values) {
    for (const field of form.querySelectorAll(`[name="${CSS.escape(name)}"]`)) {
      if (field.type === "checkbox" || field.type === "radio") {
        if (field.value === choice) field.checked = value;
      } else if (!NOT_KEPT.includes(field.type)) field.value = value;
    }
  }
}

const differs = (form, values) => JSON.stringify(valuesOf(form)) !== JSON.stringify(values);
const versionOf = (form) => form.elements.version?.value ?? "";

// A message at the top of a form; with a link, if there is something to discard.
function say(form, tone, text, link) {
  form.querySelector("[data-said]")?.remove();
  const box = document.createElement("div");
  box.className = `alert alert-${tone}`;
  box.dataset.said = "";
  box.setAttribute("role", tone === "warning" ? "alert" : "status");
  box.append(text);
  if (link) {
    const discard = document.createElement("a");
    discard.href = location.pathname;
    discard.dataset.discard = "";
    discard.textContent = link;
    box.append(" ", discard);
  }
  form.prepend(box);
  return box;
}

async function isReachable() {
  try {
    const reply = await fetch("/healthz", { cache: "no-store", signal: AbortSignal.timeout(PATIENCE) });
    return reply.ok;
  } catch {
    return false;
  }
}

function watch(form) {
  const key = PREFIX + form.dataset.owner + form.action;
  let changed = form.dataset.unsaved === "changed";
  let sending = false;
  const words = document.getElementById("tab-draft").dataset;

  const kept = read(key);
  if (changed) write(key, { at: Date.now(), version: versionOf(form), values: valuesOf(form) });
  else if (kept && Date.now() - kept.at < KEPT) {
    // One that was sent is saved, unless an edit finds the version that it was made for.
    const isSaved = kept.sent && (kept.version === "" || kept.version !== versionOf(form));
    if (!isSaved && differs(form, kept.values)) {
      fill(form, kept.values);
      say(form, "info", words.restored, words.discard);
      changed = true;
    } else sessionStorage.removeItem(key);
  }

  const note = () => {
    changed = true;
    write(key, { at: Date.now(), version: versionOf(form), values: valuesOf(form) });
  };
  form.addEventListener("input", note);
  form.addEventListener("change", note);
  form.addEventListener("click", (event) => {
    if (!event.target.closest("[data-discard]")) return;
    sessionStorage.removeItem(key);
    changed = false;
  });
  form.addEventListener("submit", async (event) => {
    if (event.defaultPrevented) return;
    if (sending) return; // the second time round: it can be reached
    const button = event.submitter;
    event.preventDefault();
    if (!(await isReachable())) {
      say(form, "warning", words.unreachable).scrollIntoView({ block: "nearest" });
      return;
    }
    sending = true;
    if (button?.name === "cancel") sessionStorage.removeItem(key); // the server keeps it
    else {
      const draft = read(key);
      if (draft) write(key, { ...draft, sent: true });
    }
    form.requestSubmit(button);
  });
  // A page that the browser shows again after it was sent
  addEventListener("pageshow", () => { sending = false; });
  addEventListener("beforeunload", (event) => {
    if (changed && !sending) event.preventDefault();
  });
}

try {
  for (const key of drafts()) {
    if (Date.now() - (read(key)?.at ?? 0) >= KEPT) sessionStorage.removeItem(key);
    // The page that says that nothing was saved
    else if (document.querySelector("[data-not-saved]")) write(key, { ...read(key), sent: false });
  }
} catch {
  // no storage at all
}
for (const form of document.querySelectorAll("form[data-unsaved]")) watch(form);
