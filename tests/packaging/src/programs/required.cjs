// A CommonJS program of a user: the package is an ES module, and Node's require takes it.
const { Client, SallyportError } = require("@sallyport/sdk");

try {
  new Client({ token: "t" });
} catch (error) {
  console.log(SallyportError.is(error) ? `${error.code} ${error.field}` : error);
}
