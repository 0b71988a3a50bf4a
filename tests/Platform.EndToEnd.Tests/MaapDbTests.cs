using System.Text.Json;
using MultiAgent.DataPlane;

namespace MultiAgent.Platform.EndToEnd.Tests;

/// <summary><c>maap db</c> as a process, and the platform on the database that it has set up.</summary>
public sealed class MaapDbTests : IDisposable
{
    private const string AppPassword = "p@ss/word of the app";
    private const string OwnerPassword = "a-password-of-the-owner";

    private readonly TempFolder _data = new();

    public void Dispose() => _data.Dispose();

    [Fact]
    public async Task EmptyServer_IsSetUp_ServesThePlatform_AndIsRolledBack()
    {
        Assert.SkipWhen(TestPostgres.Missing is not null, TestPostgres.Missing ?? "");
        await using TestPostgres server = await TestPostgres.StartAsync();
        TestDatabase database = await server.NewEmptyDatabaseAsync();
        Dictionary<string, string?> super = new() { ["DATABASE_ADMIN_URL"] = database.SuperUrl, ["MAAP_APP_PASSWORD"] = AppPassword, ["MAAP_OWNER_PASSWORD"] = OwnerPassword };
        string app = server.Url(database.Name, "maap_app", AppPassword);
        Dictionary<string, string?> owner = new() { ["DATABASE_ADMIN_URL"] = server.Url(database.Name, "maap_owner", OwnerPassword) };

        MaapResult made = (await MaapProcess.RunAsync(_data.Path, super, "db", "init-roles")).Expect(0);
        Assert.Contains("maap_app", made.Output, StringComparison.Ordinal);
        Assert.DoesNotContain(AppPassword, made.Output, StringComparison.Ordinal);
        (await MaapProcess.RunAsync(_data.Path, super, "db", "init-roles")).Expect(0);

        // Without rights to migrate the platform says what to run, in one line.
        Assert.Contains("maap db migrate", await RefusedAsync(("DATABASE_URL", app)), StringComparison.Ordinal);
        Assert.Contains("orchestrator", (await MaapProcess.RunAsync(_data.Path, owner, "db", "current")).Expect(1).Output, StringComparison.Ordinal);
        Assert.Contains("applied tenant-service/0001_initial", (await MaapProcess.RunAsync(_data.Path, owner, "db", "migrate")).Expect(0).Output, StringComparison.Ordinal);
        Assert.Equal("Nothing to apply.", (await MaapProcess.RunAsync(_data.Path, owner, "db", "migrate")).Expect(0).Output.Trim());
        JsonElement current = JsonDocument.Parse((await MaapProcess.RunAsync(_data.Path, owner, "db", "current", "--json")).Expect(0).Output).RootElement;
        Assert.All(current.EnumerateArray(), s => Assert.Equal("maap_owner", s.GetProperty("appliedBy").GetString()));

        await using (PlatformProcess platform = await PlatformProcess.StartAsync(_data.Path, PlatformEnvironment.With(null, ("DATABASE_URL", app))))
        {
            using HttpClient client = platform.ClientFor(PlatformEnvironment.Key);
            await client.PostJsonAsync("/v1/chat/completions", """{"model":"agent/assistant","messages":[{"role":"user","content":"What is 12 * (3 + 4)?"}]}""");
            JsonElement health = await client.GetJsonAsync("/health");
            Assert.Contains(health.GetProperty("dependencies").EnumerateArray(), d => d.GetProperty("name").GetString() == "postgres:tenant-service");
            await TestPlatform.UsageAsync(client, 1);
        }
        Assert.Equal(1L, await database.ScalarAsync("SELECT count(*) FROM tenant_service.tenants"));
        Assert.True((long)(await database.ScalarAsync("SELECT count(*) FROM analytics_service.usage"))! >= 1);
        // Of the services' data nothing is in files.
        Assert.Equal(["events.db"], Directory.GetFiles(_data.Path, "*.db").Select(Path.GetFileName));

        Assert.Contains("--yes", (await MaapProcess.RunAsync(_data.Path, owner, "db", "rollback", "host")).Expect(1).Error, StringComparison.Ordinal);
        Assert.Equal("took back host/0001_initial", (await MaapProcess.RunAsync(_data.Path, owner, "db", "rollback", "host", "--yes")).Expect(0).Output.Trim());
        Assert.Equal(DBNull.Value, await database.ScalarAsync("SELECT to_regclass('host.idempotency_keys')::text"));
        Assert.Contains("Data:MigrateOnStart is false", await RefusedAsync(("DATABASE_URL", app), ("Data__MigrateOnStart", "false")), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("postgres://u:s3cret@h:port/d", "DATABASE_URL (or Data:DatabaseUrl) has the port 'port'")]
    [InlineData("mongodb://h", "must begin with postgres://")]
    [InlineData("postgres://u:s3cret@127.0.0.1:1/d", "127.0.0.1:1")]
    public async Task Address_ThatIsWrong_IsToldInOneLine(string url, string expected)
    {
        MaapResult maap = (await MaapProcess.RunAsync(_data.Path, new() { ["DATABASE_URL"] = url }, "db", "current")).Expect(1);
        string line = Assert.Single(maap.Error.Split('\n', StringSplitOptions.RemoveEmptyEntries));
        foreach (string told in (string[])[line, await RefusedAsync(("DATABASE_URL", url))])
        {
            Assert.StartsWith("maap: ", told, StringComparison.Ordinal);
            Assert.Contains(expected, told, StringComparison.Ordinal);
            Assert.DoesNotContain("s3cret", told, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Files_OfSqlite_AreShownAndSteppedBack()
    {
        await using (PlatformProcess platform = await PlatformProcess.StartAsync(_data.Path, PlatformEnvironment.With()))
        {
            using HttpClient client = platform.ClientFor(PlatformEnvironment.Key);
            await client.GetJsonAsync("/v1/models");
            platform.Signal(PlatformProcess.SigTerm);
            await platform.ExitCodeAsync();
        }
        string newest = MigrationScripts.Sqlite("orchestrator")[^1].Name;
        Assert.Contains(newest, (await MaapProcess.RunAsync(_data.Path, [], "db", "current")).Expect(0).Output, StringComparison.Ordinal);
        Assert.Contains($"took back orchestrator/{newest}", (await MaapProcess.RunAsync(_data.Path, [], "db", "rollback", "orchestrator", "--yes")).Expect(0).Output, StringComparison.Ordinal);
        (await MaapProcess.RunAsync(_data.Path, [], "db", "current")).Expect(1);
        Assert.Contains($"applied orchestrator/{newest}", (await MaapProcess.RunAsync(_data.Path, [], "db", "migrate")).Expect(0).Output, StringComparison.Ordinal);
        Assert.Contains("SQLite has no roles", (await MaapProcess.RunAsync(_data.Path, [], "db", "init-roles")).Expect(1).Error, StringComparison.Ordinal);
        Assert.Contains("There is no service 'nonsense'", (await MaapProcess.RunAsync(_data.Path, [], "db", "migrate", "--service", "nonsense")).Expect(1).Error, StringComparison.Ordinal);
    }

    /// <summary>The one line of a platform that does not start.</summary>
    private async Task<string> RefusedAsync(params (string Name, string Value)[] settings)
    {
        Dictionary<string, string?> environment = PlatformEnvironment.With(null, settings);
        environment["MAAP_DATA_DIR"] = _data.Path;
        await using PlatformProcess platform = PlatformProcess.Launch(environment, ["--urls", "http://127.0.0.1:0"]);
        Assert.Equal(1, await platform.ExitCodeAsync());
        await Eventually.TrueAsync(() => platform.Errors.Count > 0, "the line on standard error");
        return Assert.Single(platform.Errors);
    }
}
