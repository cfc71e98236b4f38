// The administrator's console.

import { render } from "preact";
import { preferredLanguage, useLanguage } from "./base/i18n.ts";
import { whoAmI } from "./base/session.ts";
import { Shell } from "./shell/shell.tsx";
import { applyTheme } from "./shell/theme.ts";
import "./styles/console.css";

applyTheme();
await Promise.all([useLanguage(preferredLanguage()), whoAmI()]);
const root = document.getElementById("app");
if (root) render(<Shell />, root);
