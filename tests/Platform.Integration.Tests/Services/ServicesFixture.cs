namespace MultiAgent.Platform.Integration.Tests.Services;

/// <summary>The services in hosts of their own, over HTTP and NATS, for the tests that leave nothing behind which another would see.</summary>
public sealed class ServicesFixture : IAsyncLifetime
{
    public TestPlatform Platform { get; private set; } = null!;

    public async ValueTask InitializeAsync()
    {
        Assert.SkipWhen(NatsServer.Missing is not null, NatsServer.Missing ?? "");
        Platform = await TestPlatform.StartAsync(new Dictionary<string, string?>
        {
            ["MAAP_OPERATOR_TOKEN"] = TestPlatform.OperatorToken,
            ["Auth:AttemptsPerMinute"] = "1",
            ["Auth:AttemptBurst"] = "10",
        }, apart: true);
    }

    public ValueTask DisposeAsync() => Platform is null ? ValueTask.CompletedTask : Platform.DisposeAsync();
}

[CollectionDefinition(Name)]
public sealed class ServicesApart : ICollectionFixture<ServicesFixture>
{
    public const string Name = "services apart";
}
