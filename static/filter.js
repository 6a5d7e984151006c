// A filter is applied as soon as a choice is made. Without scripts its button does that.
const form = document.querySelector("[data-filter]");
const FOCUSED = "smtpweb filter";

function keepFocus(field) {
  try {
    sessionStorage.setItem(FOCUSED, field.id);
  } catch {
    // no storage: the focus starts at the top
  }
}

function focusAgain() {
  try {
    const id = sessionStorage.getItem(FOCUSED);
    sessionStorage.removeItem(FOCUSED);
    if (id) document.getElementById(id)?.focus({ preventScroll: true });
  } catch {
    // no storage
  }
}

if (form) {
  focusAgain();
  form.querySelector("button").hidden = true;
  form.addEventListener("change", (event) => {
    keepFocus(event.target);
    form.requestSubmit();
  });
  // The address names only what is filtered.
  form.addEventListener("formdata", (event) => {
    for (const [name, value] of [...event.formData]) if (!value) event.formData.delete(name);
  });
}
