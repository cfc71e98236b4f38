// The way to every page, always in the same place.

import { path } from "../base/router.ts";
import { t, type Key } from "../base/i18n.ts";
import { Icon, type IconName } from "../widgets/icon.tsx";
import { Link } from "../widgets/link.tsx";
import { LanguageSwitch, ThemeSwitch } from "./switches.tsx";

export interface Place {
  to: string;
  title: Key;
  icon: IconName;
}

export const PLACES: Place[] = [
  { to: "/", title: "nav.overview", icon: "overview" },
  { to: "/people/users", title: "nav.people", icon: "people" },
  { to: "/servers", title: "nav.servers", icon: "servers" },
  { to: "/domains", title: "nav.domains", icon: "domains" },
  { to: "/mail/queue", title: "nav.mail", icon: "mail" },
  { to: "/settings", title: "nav.settings", icon: "settings" },
  { to: "/jobs", title: "nav.jobs", icon: "jobs" },
  { to: "/audit", title: "nav.audit", icon: "audit" },
  { to: "/certificates", title: "nav.certificates", icon: "certificates" },
  { to: "/firewall", title: "nav.firewall", icon: "firewall" },
  { to: "/updates", title: "nav.updates", icon: "updates" },
  { to: "/migration", title: "nav.migration", icon: "migration" },
];

export function Navigation() {
  const at = `/${path.value.split("/")[1] ?? ""}`;
  return (
    <nav class="main" aria-label={t("nav.label")}>
      <ul>
        {PLACES.map((place) => (
          <li key={place.to}>
            <Link to={place.to} current={at === `/${place.to.split("/")[1] ?? ""}`}>
              <Icon name={place.icon} />
              {t(place.title)}
            </Link>
          </li>
        ))}
      </ul>
      <p class="switches narrow-only">
        <LanguageSwitch />
        <ThemeSwitch />
      </p>
    </nav>
  );
}
