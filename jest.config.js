/** Unit and program tests: no root, no lab. The lab's tests have a configuration of their own. */
module.exports = {
  testEnvironment: "node",
  testMatch: ["<rootDir>/test/unit/**/*.test.ts", "<rootDir>/test/program/**/*.test.ts"],
  transform: {
    "^.+\\.ts$": [
      "@swc/jest",
      { jsc: { target: "es2022", parser: { syntax: "typescript" } }, module: { type: "commonjs" } },
    ],
  },
  modulePathIgnorePatterns: ["<rootDir>/.lab/"],
};
