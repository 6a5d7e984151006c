// The form of an SMTP server: a provider fills it in, and the port follows the encryption while it
// is a usual one.
const form = document.querySelector("form[data-preflight]");
const field = (name) => form.elements[name];
const USUAL = JSON.parse(form.dataset.usualPorts);

// --- a provider fills in host, encryption and port

// As presets.named has it: a whole label, else the beginning of a word in one, else a part of a host
function choiceOf(text) {
  const wanted = text.trim().toLowerCase();
  if (!wanted) return undefined;
  const all = [...document.querySelectorAll("#providers option")];
  const exact = all.find((one) => one.value.toLowerCase() === wanted);
  if (exact) return exact;
  const begins = (one) => one.value.toLowerCase().split(/(?<=[^\p{L}\p{N}])/u);
  const startsAt = (words, from) => words.slice(from).join("").startsWith(wanted);
  let found = all.filter((one) => begins(one).some((_, at, words) => startsAt(words, at)));
  if (!found.length) found = all.filter((one) => one.dataset.host.includes(wanted));
  return found.length === 1 ? found[0] : undefined;
}

function fillIn(option) {
  field("provider").value = option.value;
  field("host").value = option.dataset.host;
  field("encryption").value = option.dataset.encryption;
  field("port").value = option.dataset.port;
  if (option.dataset.signin) field("signin").value = option.dataset.signin;
  forgetError();
  const said = document.getElementById("preset-said");
  said.textContent = said.dataset.said;
  if (option.dataset.host.startsWith(".")) {
    field("host").focus(); // what comes before the dot only the customer knows
    field("host").setSelectionRange(0, 0);
  } else {
    field("smtp_login").focus();
  }
  form.dispatchEvent(new Event("preflight"));
}

// What the server said of an earlier name does not hold any more
function forgetError() {
  const error = document.getElementById("provider-error");
  if (!error) return;
  error.remove();
  field("provider").classList.remove("is-invalid");
  field("provider").removeAttribute("aria-invalid");
  const all = document.querySelector(".errors");
  all?.querySelector('a[href="#provider"]')?.closest("li").remove();
  if (!all?.querySelector("li")) all?.remove();
}

field("provider").addEventListener("input", (event) => {
  // A choice out of the list comes as a replacement, or without a type; typing does not fill in
  const chosen = !event.inputType || event.inputType === "insertReplacementText";
  const option = chosen && choiceOf(field("provider").value);
  if (option) fillIn(option);
});
field("provider").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || !field("provider").value) return;
  event.preventDefault();
  field("use").click();
});
field("use").addEventListener("click", (event) => {
  const option = choiceOf(field("provider").value);
  if (!option) return; // the server says what is wrong
  event.preventDefault();
  fillIn(option);
});

// --- the port follows the encryption

for (const choice of field("encryption")) {
  choice.addEventListener("change", () => {
    const port = field("port");
    if (!port.value || Object.values(USUAL).includes(port.value)) port.value = USUAL[choice.value];
  });
}
