using MultiAgent.Orchestrator.Blackboards;
using MultiAgent.Orchestrator.Conversations;
using MultiAgent.Orchestrator.Conversations.Compaction;
using MultiAgent.Orchestrator.Feedback;
using MultiAgent.Orchestrator.Memory;
using MultiAgent.Orchestrator.Responses;
using MultiAgent.Orchestrator.Runs;
using MultiAgent.Orchestrator.Runs.Leases;
using MultiAgent.Orchestrator.Runs.Waits;
using MultiAgent.Orchestrator.Schedules;
using MultiAgent.Orchestrator.Webhooks;
using MultiAgent.Orchestrator.Workflows.Compensations;

namespace MultiAgent.Orchestrator.Tests.Support;

/// <summary>The stores of one empty database.</summary>
internal interface IStores : IAsyncDisposable
{
    IRunStore Runs { get; }

    IRunLeases Leases { get; }

    IRunWaits Waits { get; }

    IConversationStore Conversations { get; }

    IFeedbackStore Feedback { get; }

    IResponseDeletions ResponseDeletions { get; }

    IWebhookStore Webhooks { get; }

    IMemoryStore Memories { get; }

    IBlackboardStore Blackboards { get; }

    IScheduleStore Schedules { get; }

    IDeadLetterStore DeadLetters { get; }

    ISummaryStore Summaries { get; }

    /// <summary>Subjects of the events that wait to be published, in order.</summary>
    Task<IReadOnlyList<string>> OutboxAsync();
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
