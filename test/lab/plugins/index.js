// Makes the resources that spec.json in its folder lists; see ../plugins.test.ts.
const command = require("@pulumi/command");
const pulumi = require("@pulumi/pulumi");
const random = require("@pulumi/random");
const fs = require("node:fs");
const path = require("node:path");

const classes = {
  "local.Command": command.local.Command,
  "remote.Command": command.remote.Command,
  "remote.CopyToRemote": command.remote.CopyToRemote,
  "random.RandomPassword": random.RandomPassword,
  "random.RandomString": random.RandomString,
};

const special = {
  $secret: (value) => pulumi.secret(value),
  $fileAsset: (path) => new pulumi.asset.FileAsset(path),
  $stringAsset: (text) => new pulumi.asset.StringAsset(text),
  $fileArchive: (path) => new pulumi.asset.FileArchive(path),
  $assetArchive: (texts) =>
    new pulumi.asset.AssetArchive(
      Object.fromEntries(
        Object.entries(texts).map(([name, text]) => [name, new pulumi.asset.StringAsset(text)]),
      ),
    ),
};

function decode(value) {
  if (Array.isArray(value)) return value.map(decode);
  if (typeof value !== "object" || value === null) return value;
  const [[key, inner] = []] = Object.entries(value);
  if (key in special) return special[key](inner);
  return Object.fromEntries(Object.entries(value).map(([name, child]) => [name, decode(child)]));
}

const spec = JSON.parse(fs.readFileSync(path.resolve("spec.json"), "utf8"));
for (const [name, { type, args, out }] of Object.entries(spec)) {
  const made = new classes[type](name, decode(args));
  if (out !== undefined) exports[name] = made[out];
}
