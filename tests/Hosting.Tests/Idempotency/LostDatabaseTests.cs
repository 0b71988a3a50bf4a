using MultiAgent.Testing;
using Xunit;

namespace MultiAgent.Hosting.Tests.Idempotency;

/// <summary>The database goes away between what a request did and the note of its answer.</summary>
public sealed class LostDatabaseTests : IAsyncLifetime
{
    private TestPostgres? _server;
    private HostingFixture? _host;

    public async ValueTask InitializeAsync()
    {
        Assert.SkipWhen(TestPostgres.Missing is not null, TestPostgres.Missing ?? "");
        _server = await TestPostgres.StartAsync();
        _host = new HostingFixture();
        foreach ((string name, string? value) in (await _server.NewDatabaseAsync()).Settings) _host.Settings[name] = value;
        await _host.InitializeAsync();
    }

    public async ValueTask DisposeAsync()
    {
        if (_host is not null) await _host.DisposeAsync();
        if (_server is not null) await _server.DisposeAsync();
    }

    [Theory]
    [InlineData(201)]
    [InlineData(502)]
    public async Task Answer_ThatCannotBeKept_IsAnErrorThatSaysSo_AndTheRepetitionIsAnswered(int status)
    {
        HostingFixture host = _host!;
        string body = $$"""{"name":"lost","wait":true,"status":{{status}}}""";
        Task<Reply> first = PostAsync(body);
        await Eventually.TrueAsync(() => Volatile.Read(ref host.Module.Held) == 1, "the request is under way");
        await _server!.StopAsync();
        host.Module.Gate.SetResult();

        Reply refused = await first;
        Assert.Equal((503, "storage_unavailable", "application/problem+json"), (refused.Status, refused.Json.GetProperty("code").GetString(), refused.ContentType));
        Assert.Null(refused.Headers.Location);
        Assert.True(refused.Headers.Contains("Retry-After"));

        await _server.RestartAsync();
        Reply again = null!;
        await Eventually.TrueAsync(async () => (again = await PostAsync(body)).Status != 503, "the database is found again");
        Assert.Equal((status, 2), (again.Status, again.Json.GetProperty("count").GetInt32()));
        Assert.False(again.Headers.Contains("Idempotency-Replayed"));
        Reply last = await PostAsync(body);
        Assert.Equal(status == 201, last.Headers.Contains("Idempotency-Replayed"));
    }

    private Task<Reply> PostAsync(string body) => _host!.SendAsync(HttpMethod.Post, "/api/v1/things", body, headers: ("Idempotency-Key", "k-lost"));
}
