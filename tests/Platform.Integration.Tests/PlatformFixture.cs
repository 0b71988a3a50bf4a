namespace MultiAgent.Platform.Integration.Tests;

/// <summary>One platform for the tests that leave nothing behind which another would see.</summary>
public sealed class PlatformFixture : IAsyncLifetime
{
    private int _model;

    public TestPlatform Platform { get; private set; } = null!;

    public async ValueTask InitializeAsync() => Platform = await TestPlatform.StartAsync();

    public ValueTask DisposeAsync() => Platform.DisposeAsync();

    /// <summary>The provider's name of a model that no other test uses; <c>fake/&lt;name&gt;</c> reaches it.</summary>
    public string NewModel() => $"model-{Interlocked.Increment(ref _model)}";
}

[CollectionDefinition(Name)]
public sealed class SharedPlatform : ICollectionFixture<PlatformFixture>
{
    public const string Name = "shared platform";
}
