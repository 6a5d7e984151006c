// A filter applies when one of its choices changes; without scripts it has a button.
for (const form of document.querySelectorAll("form.filter")) {
  form.querySelector(".filter-buttons button").hidden = true;
  form.addEventListener("change", () => form.requestSubmit());
}
