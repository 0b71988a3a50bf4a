using MultiAgent.Data.Postgres;
using MultiAgent.Data.Tenancy;
using MultiAgent.Orchestrator.Blackboards;
using MultiAgent.Orchestrator.Conversations;
using MultiAgent.Orchestrator.Conversations.Compaction;
using MultiAgent.Orchestrator.Feedback;
using MultiAgent.Orchestrator.Memory;
using MultiAgent.Orchestrator.Responses;
using MultiAgent.Orchestrator.Runs;
using MultiAgent.Orchestrator.Runs.Leases;
using MultiAgent.Orchestrator.Runs.Storage;
using MultiAgent.Orchestrator.Runs.Waits;
using MultiAgent.Orchestrator.Schedules;
using MultiAgent.Orchestrator.Webhooks;
using MultiAgent.Orchestrator.Workflows.Compensations;
using MultiAgent.Testing;

namespace MultiAgent.Orchestrator.Tests.Support;

/// <summary>Stores on a PostgreSQL database of their own, as the role of the services.</summary>
internal sealed class PostgresStores : IStores
{
    private readonly TestDatabase _database;

    private PostgresStores(TestDatabase database)
    {
        _database = database;
        Schema = database.Open("orchestrator");
        Runs = new PostgresRunStore(Schema);
        Leases = new PostgresRunLeases(Schema);
        Waits = new PostgresRunWaits(Schema);
        Conversations = new PostgresConversationStore(Schema);
        Feedback = new PostgresFeedbackStore(Schema, TimeProvider.System);
        ResponseDeletions = new PostgresResponseDeletions(Schema);
        Webhooks = new PostgresWebhookStore(Schema);
        Memories = new PostgresMemoryStore(Schema);
        Blackboards = new PostgresBlackboardStore(Schema);
        Schedules = new PostgresScheduleStore(Schema);
        DeadLetters = new PostgresDeadLetterStore(Schema);
        Summaries = new PostgresSummaryStore(Schema);
    }

    public PostgresDatabase Schema { get; }

    public IRunStore Runs { get; }

    public IRunLeases Leases { get; }

    public IRunWaits Waits { get; }

    public IConversationStore Conversations { get; }

    public IFeedbackStore Feedback { get; }

    public IResponseDeletions ResponseDeletions { get; }

    public IWebhookStore Webhooks { get; }

    public IMemoryStore Memories { get; }

    public IBlackboardStore Blackboards { get; }

    public IScheduleStore Schedules { get; }

    public IDeadLetterStore DeadLetters { get; }

    public ISummaryStore Summaries { get; }

    public static async Task<IStores> OpenAsync()
    {
        Assert.SkipWhen(TestPostgres.Missing is not null, TestPostgres.Missing ?? "");
        return new PostgresStores(await (await TestPostgres.SharedAsync()).NewDatabaseAsync());
    }

    public async Task<IReadOnlyList<string>> OutboxAsync() =>
        await Schema.ReadAsync(TenantScope.System("test"), session => session.Sql("/* all tenants */ SELECT subject FROM orchestrator.outbox ORDER BY seq").ListAsync(row => row.GetString(0)));

    public async ValueTask DisposeAsync()
    {
        await Schema.DisposeAsync();
        await _database.DisposeAsync();
    }
}
