// Small helps in forms: fields that only matter while a box is ticked, and passwords that can be
// shown. Without this script all fields are there, and passwords stay hidden.

// The fields of user name and password follow the box "Server requires authentication".
for (const box of document.querySelectorAll("input[name=auth]")) {
  const names = ["smtp_login", "smtp_secret"];
  const places = names.map((name) => box.form.elements[name]?.closest(".mb-3")).filter(Boolean);
  const follow = () => {
    for (const place of places) place.hidden = !box.checked;
  };
  box.addEventListener("change", follow);
  addEventListener("pageshow", follow); // a browser that goes back keeps what was ticked
  follow();
}

for (const button of document.querySelectorAll("[data-reveal]")) {
  const field = document.getElementById(button.dataset.reveal);
  const hide = (hidden) => {
    field.type = hidden ? "password" : "text";
    button.setAttribute("aria-pressed", String(!hidden));
  };
  button.hidden = false;
  button.addEventListener("click", () => {
    hide(field.type === "text");
    field.focus();
  });
  // Never sent or kept by the browser as ordinary text
  field.form.addEventListener("submit", () => hide(true));
  addEventListener("pagehide", () => hide(true));
}
