export * from "./bundle";
export * from "./bundles";
export { renderConfigToml, runnerName, tokenPlaceholder, tokenVariable } from "./config-toml";
export { renderDaemonJson } from "./daemon-json";
export { HostFile } from "./files";
export * from "./plan";
export * from "./step-command";
