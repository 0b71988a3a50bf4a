using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.RegularExpressions;
using MultiAgent.Testing;
using Xunit;

namespace MultiAgent.Tenants.Tests;

public sealed partial class BootstrapTests : IDisposable
{
    private static readonly (string, string?)[] Random = [("MAAP_BOOTSTRAP_API_KEY", null), ("MAAP_BOOTSTRAP_ADMIN_PASSWORD", null)];

    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task FirstStart_WithoutSettings_ShowsRandomSecretsThatWork_Once()
    {
        string key, password;
        await using (TenantHost host = await TenantHost.StartAsync(_folder.Path, null, Random))
        {
            string text = host.StartedText();
            Assert.StartsWith("Multi-AI-Agent Platform is running on http://localhost:8080", text);
            (key, password) = Secrets(text);
            (await host.GetAsync("/api/v1/me", key)).Expect(200);
            (await host.LoginAsync(password: password)).Expect(200);
        }
        await using TenantHost again = await TenantHost.StartAsync(_folder.Path, null, Random);
        string second = again.StartedText();
        Assert.Single(second.Trim().Split('\n'));
        Assert.DoesNotContain(key, second);
        (await again.GetAsync("/api/v1/me", key)).Expect(200);
        (await again.LoginAsync(password: password)).Expect(200);
    }

    [Fact]
    public async Task FirstStart_WithSettings_UsesAndDoesNotShowThem()
    {
        await using TenantHost host = await TenantHost.StartAsync(_folder.Path);
        string text = host.StartedText();
        Assert.DoesNotContain(TenantHost.BootstrapKey, text);
        Assert.DoesNotContain(TenantHost.OwnerPassword, text);
        Assert.Contains("$MAAP_BOOTSTRAP_API_KEY", text);
        (await host.GetAsync("/api/v1/me")).Expect(200);
        (await host.LoginAsync()).Expect(200);
    }

    [Fact]
    public async Task FirstStart_ThatFailsBeforeTheSecretsWereShown_IsMadeGoodByTheNext()
    {
        using var taken = new TcpListener(IPAddress.Loopback, 0);
        taken.Start();
        string url = $"http://127.0.0.1:{((IPEndPoint)taken.LocalEndpoint).Port}";
        await Assert.ThrowsAnyAsync<IOException>(() => TenantHost.StartAsync(_folder.Path, null, [.. Random, ("urls", url)]));
        await using TenantHost host = await TenantHost.StartAsync(_folder.Path, null, Random);
        (string key, string password) = Secrets(host.StartedText());
        (await host.GetAsync("/api/v1/me", key)).Expect(200);
        (await host.LoginAsync(password: password)).Expect(200);
        Assert.Single((await host.GetAsync("/api/v1/keys", key)).Json.GetProperty("data").EnumerateArray());
    }

    [Fact]
    public async Task Secrets_AreNowhereInTheDataFolder()
    {
        var secrets = new List<string>();
        await using (TenantHost host = await TenantHost.StartAsync(_folder.Path, null, Random))
        {
            (string key, string password) = Secrets(host.StartedText());
            Reply created = (await host.PostAsync("/api/v1/keys", new { name = "x" }, key, ("Idempotency-Key", "create-once"))).Expect(201);
            Reply user = (await host.PostAsync("/api/v1/users", new { email = "x@y.example", name = "x", role = "viewer" }, key, ("Idempotency-Key", "create-user-once"))).Expect(201);
            Reply rotated = (await host.PostAsync($"/api/v1/keys/{created["id"]}/rotate", new { }, key, ("Idempotency-Key", "rotate-once"))).Expect(201);
            Reply login = (await host.LoginAsync(password: password)).Expect(200);
            Reply refreshed = (await host.RefreshAsync(login["refreshToken"])).Expect(200);
            (await host.LoginAsync("guess@example.com", "a-guessed-password")).Expect(401);
            secrets.AddRange([key, password, created["key"], rotated["key"], user["initialPassword"], login["refreshToken"], refreshed["refreshToken"], login["accessToken"], "a-guessed-password"]);
            Search(secrets);
        }
        Search(secrets);
    }

    [Fact]
    public async Task KeyRing_IsForTheOwnUserOnly()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "Windows has no file modes.");
        Assert.SkipWhen(TestStorage.IsPostgres, "The key ring lies in the database.");
        await using TenantHost host = await TenantHost.StartAsync(_folder.Path);
        if (!OperatingSystem.IsWindows())
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute, File.GetUnixFileMode(Path.Combine(_folder.Path, "keys")));
    }

    private void Search(List<string> secrets)
    {
        string[] files = Directory.GetFiles(_folder.Path, "*", SearchOption.AllDirectories);
        if (!TestStorage.IsPostgres)
        {
            Assert.Contains(files, f => f.EndsWith("tenant-service.db", StringComparison.Ordinal));
            Assert.Contains(files, f => f.EndsWith("host.db", StringComparison.Ordinal));
        }
        foreach (string file in files.Where(f => Path.GetFileName(f) != ".lock"))
        {
            using var stream = new FileStream(file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
            var bytes = new MemoryStream();
            stream.CopyTo(bytes);
            foreach (string secret in secrets)
                Assert.True(bytes.ToArray().AsSpan().IndexOf(Encoding.UTF8.GetBytes(secret)) < 0, $"a secret is in {Path.GetFileName(file)}");
        }
    }

    private static (string Key, string Password) Secrets(string text) =>
        (KeyLine().Match(text).Groups[1].Value, PasswordLine().Match(text).Groups[1].Value);

    [GeneratedRegex(@"API key +(maap_\S+)")]
    private static partial Regex KeyLine();

    [GeneratedRegex(@"Password +(\S+)")]
    private static partial Regex PasswordLine();
}
