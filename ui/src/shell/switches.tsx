// The language, and light or dark.

import { type Language, language, LANGUAGES, t, useLanguage } from "../base/i18n.ts";
import { setTheme, type Theme, theme } from "./theme.ts";

export function LanguageSwitch() {
  return (
    <select
      aria-label={t("language")}
      value={language.value}
      onChange={(event) => void useLanguage(event.currentTarget.value as Language, true)}
    >
      {Object.entries(LANGUAGES).map(([tag, name]) => (
        <option key={tag} value={tag} lang={tag}>
          {name}
        </option>
      ))}
    </select>
  );
}

export function ThemeSwitch() {
  return (
    <select aria-label={t("theme")} value={theme.value} onChange={(event) => setTheme(event.currentTarget.value as Theme)}>
      <option value="system">{t("theme.system")}</option>
      <option value="light">{t("theme.light")}</option>
      <option value="dark">{t("theme.dark")}</option>
    </select>
  );
}
