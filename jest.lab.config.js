/**
 * Lab tests: they share one running lab and two cores, so one file after the other, and those on
 * light guests before those on VMs.
 */
module.exports = {
  ...require("./jest.config.js"),
  testMatch: ["<rootDir>/test/lab/**/*.test.ts"],
  maxWorkers: 1,
  testTimeout: 900_000,
  verbose: true,
};
