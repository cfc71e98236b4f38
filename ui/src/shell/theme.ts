// Light, dark, or as the system has it.

import { signal } from "@preact/signals";

export type Theme = "system" | "light" | "dark";

const STORED_THEME = "sterna.theme";

export const theme = signal<Theme>(stored());

function stored(): Theme {
  const value = localStorage.getItem(STORED_THEME);
  return value === "light" || value === "dark" ? value : "system";
}

/** Shows the chosen theme. */
export function applyTheme(): void {
  document.documentElement.dataset.theme = theme.value;
}

export function setTheme(wanted: Theme): void {
  localStorage.setItem(STORED_THEME, wanted);
  theme.value = wanted;
  applyTheme();
}
