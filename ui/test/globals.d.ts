/** The folder of this program's sources, filled in by run.mjs. */
declare const UI_FOLDER: string;
