// Buttons that say so while they work, and can't be pressed twice meanwhile.

import type { ComponentChildren } from "preact";
import { Icon, type IconName } from "./icon.tsx";
import { useOnce } from "./once.tsx";

interface Props {
  children?: ComponentChildren;
  icon?: IconName;
  /** For buttons that have no words. */
  label?: string;
  kind?: "primary" | "danger" | "quiet";
  type?: "button" | "submit";
  disabled?: boolean;
  busy?: boolean;
  autofocus?: boolean;
  onPress?: () => unknown;
}

export function Button({ children, icon, label, kind, type = "button", disabled, busy, autofocus, onPress }: Props) {
  const [works, once] = useOnce();
  const isBusy = works || !!busy;
  return (
    <button
      type={type}
      class={`button ${kind ?? ""} ${children === undefined ? "only-icon" : ""}`}
      disabled={disabled}
      aria-busy={isBusy}
      aria-disabled={isBusy}
      aria-label={label}
      title={label}
      autofocus={autofocus}
      onClick={onPress && (() => void once(onPress))}
    >
      {icon && <Icon name={icon} />}
      {children}
    </button>
  );
}
