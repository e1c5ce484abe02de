import js from "@eslint/js";
import simpleImportSort from "eslint-plugin-simple-import-sort";
import tseslint from "typescript-eslint";

const node = { URL: "readonly", process: "readonly" };

/** Refuses imports that a folder must not have, and says why. */
const noImports = (files, patterns, ignores = []) => ({
  files,
  ignores,
  rules: { "no-restricted-imports": ["error", { patterns }] },
});

const engine = {
  group: ["@pulumi/*", "@muhlba91/*"],
  message: "Pure functions only: what asks Pulumi or a provider belongs in components/.",
};
const reader = {
  group: ["**/config/load"],
  importNamePattern: "^loadConfig$",
  message: "Only index.ts reads the stack's configuration; everything else is handed it.",
};
const lab = {
  group: ["**/lab", "**/lab/**"],
  message: "The program does not know of the lab: a stack file names its addresses.",
};

export default tseslint.config(
  { ignores: ["node_modules/", ".lab/", "coverage/", "lab/go/"] },
  js.configs.recommended,
  ...tseslint.configs.recommended,
  {
    plugins: { "simple-import-sort": simpleImportSort },
    rules: {
      eqeqeq: "error",
      "simple-import-sort/imports": "error",
      "simple-import-sort/exports": "error",
      "@typescript-eslint/no-unused-vars": ["error", { argsIgnorePattern: "^_" }],
    },
  },
  {
    files: ["**/*.js"],
    languageOptions: {
      sourceType: "commonjs",
      globals: { ...node, require: "readonly", module: "writable", exports: "writable" },
    },
    rules: { "@typescript-eslint/no-require-imports": "off" },
  },
  { files: ["**/*.mjs"], languageOptions: { globals: node } },
  noImports(["config/**", "cloud-init/**", "host/**"], [engine, lab], ["config/load.ts"]),
  noImports(["index.ts", "config/load.ts"], [lab]),
  noImports(["components/**"], [reader, lab]),
  noImports(["ops/**"], [engine, reader, lab]),
  {
    files: ["components/**"],
    rules: {
      "no-restricted-properties": [
        "error",
        { object: "pulumi", property: "Config", message: reader.message },
      ],
    },
  },
);
