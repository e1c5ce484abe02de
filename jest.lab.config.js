/** Lab tests: they need root and share one running lab, so one file after the other. */
module.exports = {
  ...require("./jest.config.js"),
  testMatch: ["<rootDir>/test/lab/**/*.test.ts"],
  maxWorkers: 1,
  testTimeout: 900_000,
};
