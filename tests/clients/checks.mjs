// What the scripts of protocols share: one line of JSON per check, and exit code 1 when one fails.
export async function check(name, body) {
  try {
    await body();
    console.log(JSON.stringify({ name, ok: true }));
  } catch (error) {
    process.exitCode = 1;
    console.log(JSON.stringify({ name, ok: false, error: String(error?.stack ?? error) }));
  }
}
