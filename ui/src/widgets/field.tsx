// Fields of forms: a label, the control, a hint, and nothing that only colour says.

import type { ComponentChildren } from "preact";
import { useId, useState } from "preact/hooks";
import { t } from "../base/i18n.ts";
import { Button } from "./button.tsx";

export interface Choice {
  value: string;
  label: string;
}

export type Kind = "text" | "date" | "area" | "password" | "number" | "toggle" | "select" | "bytes" | "list" | "choices" | "script";

/** What a form asks for. */
export interface FieldSpec {
  /** The name in the resource; a dot leads into a member (`resource.capacity`). */
  name: string;
  label: string;
  kind: Kind;
  hint?: string;
  choices?: Choice[];
  suggestions?: string[];
  required?: boolean;
  /** An empty field is null: what holds without it. */
  nullable?: boolean;
  placeholder?: string;
  autocomplete?: string;
}

interface Props {
  spec: FieldSpec;
  value: unknown;
  onChange: (value: unknown) => void;
}

/** One field. */
export function Field({ spec, value, onChange }: Props) {
  const id = useId();
  if (spec.kind === "toggle") return <Toggle id={id} spec={spec} value={value} onChange={onChange} />;
  if (spec.kind === "choices") return <Choices id={id} spec={spec} value={value} onChange={onChange} />;
  return (
    <div class="field">
      <label for={id}>
        {spec.label}
        {spec.required && <span aria-hidden="true"> *</span>}
      </label>
      <Control id={id} spec={spec} value={value} onChange={onChange} />
      {spec.hint && (
        <p class="hint" id={`${id}-hint`}>
          {spec.hint}
        </p>
      )}
    </div>
  );
}

function Control({ id, spec, value, onChange }: Props & { id: string }) {
  const described = spec.hint ? `${id}-hint` : undefined;
  const empty = spec.nullable ? null : "";
  const shared = { id, "aria-describedby": described, required: spec.required, placeholder: spec.placeholder };
  switch (spec.kind) {
    case "area":
    case "script":
      return (
        <textarea
          {...shared}
          class={spec.kind === "script" ? "script" : ""}
          spellcheck={spec.kind === "area"}
          rows={spec.kind === "script" ? 16 : 4}
          value={textOf(value)}
          onInput={(event) => onChange(event.currentTarget.value)}
        />
      );
    case "number":
      return (
        <input
          {...shared}
          inputMode="numeric"
          value={textOf(value)}
          onInput={(event) => onChange(numberOf(event.currentTarget.value))}
        />
      );
    case "select":
      return (
        <select {...shared} value={textOf(value)} onChange={(event) => onChange(event.currentTarget.value || empty)}>
          {spec.choices?.map((choice) => (
            <option key={choice.value} value={choice.value}>
              {choice.label}
            </option>
          ))}
        </select>
      );
    case "bytes":
      return <Bytes id={id} described={described} value={value as number | null} onChange={onChange} />;
    case "list":
      return <List id={id} described={described} spec={spec} value={(value as string[] | undefined) ?? []} onChange={onChange} />;
    default:
      return (
        <>
          <input
            {...shared}
            type={spec.kind}
            list={spec.suggestions ? `${id}-list` : undefined}
            autocomplete={spec.autocomplete ?? "off"}
            spellcheck={false}
            value={textOf(value)}
            onInput={(event) => onChange(event.currentTarget.value === "" ? empty : event.currentTarget.value)}
          />
          <Suggestions id={`${id}-list`} items={spec.suggestions} />
        </>
      );
  }
}

function Suggestions({ id, items }: { id: string; items: string[] | undefined }) {
  if (!items) return null;
  return (
    <datalist id={id}>
      {items.map((item) => (
        <option key={item} value={item} />
      ))}
    </datalist>
  );
}

function textOf(value: unknown): string {
  return value === null || value === undefined ? "" : String(value);
}

/** A number, or the text as it is: the server says what is wrong with it. Digits of other scripts count as digits. */
function numberOf(text: string): number | string | null {
  const digits = text.trim().replace(/\p{Nd}/gu, (digit) => String(digitValue(digit)));
  if (digits === "") return null;
  return /^-?\d+$/.test(digits) ? Number(digits) : text;
}

/** The value of a decimal digit of any script: they stand in runs of ten. */
function digitValue(digit: string): number {
  const code = digit.codePointAt(0) ?? 0;
  let zero = code;
  while (code - zero < 9 && /\p{Nd}/u.test(String.fromCodePoint(zero - 1))) zero -= 1;
  return (code - zero) % 10;
}

function Toggle({ id, spec, value, onChange }: Props & { id: string }) {
  return (
    <div class="field toggle">
      <input
        type="checkbox"
        id={id}
        aria-describedby={spec.hint ? `${id}-hint` : undefined}
        checked={value === true}
        onChange={(event) => onChange(event.currentTarget.checked)}
      />
      <div>
        <label for={id}>{spec.label}</label>
        {spec.hint && (
          <p class="hint" id={`${id}-hint`}>
            {spec.hint}
          </p>
        )}
      </div>
    </div>
  );
}

function Choices({ id, spec, value, onChange }: Props & { id: string }) {
  const chosen = (value as string[] | undefined) ?? [];
  const set = (name: string, on: boolean): void => {
    const order = spec.choices?.map((choice) => choice.value) ?? [];
    onChange(order.filter((other) => (other === name ? on : chosen.includes(other))));
  };
  return (
    <fieldset class="field" aria-describedby={spec.hint ? `${id}-hint` : undefined}>
      <legend>{spec.label}</legend>
      {spec.choices?.map((choice) => (
        <div class="choice" key={choice.value}>
          <input
            type="checkbox"
            id={`${id}-${choice.value}`}
            checked={chosen.includes(choice.value)}
            onChange={(event) => set(choice.value, event.currentTarget.checked)}
          />
          <label for={`${id}-${choice.value}`}>{choice.label}</label>
        </div>
      ))}
      {spec.hint && (
        <p class="hint" id={`${id}-hint`}>
          {spec.hint}
        </p>
      )}
    </fieldset>
  );
}

const UNITS = [
  { value: "1048576", label: "MB" },
  { value: "1073741824", label: "GB" },
  { value: "1099511627776", label: "TB" },
];

interface BytesProps {
  id: string;
  described: string | undefined;
  value: number | null;
  onChange: (value: number | string | null) => void;
}

function Bytes({ id, described, value, onChange }: BytesProps) {
  const natural = UNITS.findLast((unit) => value !== null && value >= Number(unit.value) && value % Number(unit.value) === 0);
  const [chosen, setUnit] = useState<string | null>(null);
  const unit = Number(chosen ?? natural?.value ?? (value ? UNITS[0]!.value : UNITS[1]!.value));
  const shown = typeof value === "number" ? String(Math.round((value / unit) * 100) / 100) : textOf(value);
  const set = (text: string, by: number): void => {
    const trimmed = text.trim().replace(",", ".");
    if (trimmed === "") onChange(null);
    else onChange(Number.isFinite(Number(trimmed)) ? Math.round(Number(trimmed) * by) : text);
  };
  return (
    <span class="joined">
      <input
        id={id}
        inputMode="decimal"
        aria-describedby={described}
        placeholder={t("unlimited")}
        value={shown}
        onInput={(event) => set(event.currentTarget.value, unit)}
      />
      <select
        aria-label={t("unit")}
        value={String(unit)}
        onChange={(event) => {
          setUnit(event.currentTarget.value);
          if (shown !== "") set(shown, Number(event.currentTarget.value));
        }}
      >
        {UNITS.map((unit) => (
          <option key={unit.value} value={unit.value}>
            {unit.label}
          </option>
        ))}
      </select>
    </span>
  );
}

interface ListProps {
  id: string;
  described: string | undefined;
  spec: FieldSpec;
  value: string[];
  onChange: (value: string[]) => void;
}

/** Several texts: each can be taken away, and pasted ones come in at once. */
function List({ id, described, spec, value, onChange }: ListProps) {
  const [typed, setTyped] = useState("");
  const take = (text: string): void => {
    const more = text.split(/[\s,;]+/).filter((item) => item !== "" && !value.includes(item));
    if (more.length > 0) onChange([...value, ...new Set(more)]);
    setTyped("");
  };
  return (
    <div class="list">
      {value.length > 0 && (
        <ul>
          {value.map((item) => (
            <li key={item}>
              <span>{item}</span>
              <Button
                kind="quiet"
                icon="close"
                label={t("remove.what", { what: item })}
                onPress={() => onChange(value.filter((other) => other !== item))}
              />
            </li>
          ))}
        </ul>
      )}
      <span class="joined">
        <input
          id={id}
          value={typed}
          aria-describedby={described}
          autocomplete="off"
          spellcheck={false}
          placeholder={spec.placeholder}
          list={spec.suggestions ? `${id}-list` : undefined}
          onInput={(event) => setTyped(event.currentTarget.value)}
          onBlur={() => typed !== "" && take(typed)}
          onKeyDown={(event) => {
            if (event.key !== "Enter" && event.key !== ",") return;
            if (event.key === "Enter" && typed.trim() === "") return;
            event.preventDefault();
            take(typed);
          }}
        />
        <Button icon="plus" label={t("add.to", { what: spec.label })} onPress={() => take(typed)} />
      </span>
      <Suggestions id={`${id}-list`} items={spec.suggestions} />
    </div>
  );
}

/** The frame of fields that belong together. */
export function FieldGroup({ title, children }: { title: string; children: ComponentChildren }) {
  return (
    <fieldset class="group">
      <legend>{title}</legend>
      {children}
    </fieldset>
  );
}
