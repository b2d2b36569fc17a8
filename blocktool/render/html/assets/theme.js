"use strict";
// The theme: that of the system, or the one that was chosen, which is remembered where it may be.
const theme = (() => {
  const root = document.documentElement;
  const chooser = document.getElementById("page-theme");
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const listeners = [];
  const tell = () => listeners.forEach((listener) => listener());

  function apply(name) {
    if (name === "light" || name === "dark") root.dataset.theme = name;
    else delete root.dataset.theme;
    tell();
  }
  let kept = "auto";
  try {
    kept = localStorage.getItem("blocktool-theme") || "auto";
  } catch { /* no storage here */ }
  chooser.value = ["light", "dark"].includes(kept) ? kept : "auto";
  apply(chooser.value);
  chooser.addEventListener("change", () => {
    apply(chooser.value);
    try {
      localStorage.setItem("blocktool-theme", chooser.value);
    } catch { /* it is not remembered, then */ }
  });
  dark.addEventListener("change", tell);
  return {
    changed: (listener) => listeners.push(listener),
    // The value of a variable of the style sheet, as the theme has it now.
    value: (name) => getComputedStyle(root).getPropertyValue(name).trim(),
    lighten: () => { root.dataset.theme = "light"; },
    restore: () => {
      if (chooser.value === "auto") delete root.dataset.theme;
      else root.dataset.theme = chooser.value;
    },
  };
})();
