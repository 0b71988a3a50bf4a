using MultiAgent.Analytics.Journeys;
using MultiAgent.Analytics.Requests;
using MultiAgent.Analytics.Usage;

namespace MultiAgent.Analytics.Tests;

/// <summary>The stores of one empty database.</summary>
internal interface IStores : IAsyncDisposable
{
    IUsageStore Usage { get; }

    IJourneyStore Journeys { get; }

    IRequestStore Requests { get; }
}

/// <summary>Base of the suites that every database has to pass.</summary>
public abstract class StoreTests : IAsyncLifetime
{
    private protected IStores Stores { get; private set; } = null!;

    public async ValueTask InitializeAsync() => Stores = await OpenAsync();

    public async ValueTask DisposeAsync()
    {
        if (Stores is not null) await Stores.DisposeAsync();
        GC.SuppressFinalize(this);
    }

    private protected abstract Task<IStores> OpenAsync();
}
