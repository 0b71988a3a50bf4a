using MultiAgent.Data.Migrations;
using MultiAgent.Data.Sqlite;
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

namespace MultiAgent.Orchestrator.Tests.Support;

/// <summary>Stores on a database file of their own.</summary>
internal sealed class SqliteStores : IStores
{
    private readonly string _folder = Directory.CreateTempSubdirectory("maap-stores-").FullName;

    public SqliteStores()
    {
        Database = new SqliteDatabase("orchestrator", new() { Directory = _folder, SyncEveryCommit = false });
        SqliteMigrator.Migrate(Database);
        Runs = new SqliteRunStore(Database);
        Leases = new SqliteRunLeases(Database);
        Waits = new SqliteRunWaits(Database);
        Conversations = new SqliteConversationStore(Database);
        Feedback = new SqliteFeedbackStore(Database, TimeProvider.System);
        ResponseDeletions = new SqliteResponseDeletions(Database);
        Webhooks = new SqliteWebhookStore(Database);
        Memories = new SqliteMemoryStore(Database);
        Blackboards = new SqliteBlackboardStore(Database);
        Schedules = new SqliteScheduleStore(Database);
        DeadLetters = new SqliteDeadLetterStore(Database);
        Summaries = new SqliteSummaryStore(Database);
    }

    public SqliteDatabase Database { get; }

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

    public Task<IReadOnlyList<string>> OutboxAsync() => Task.FromResult(Database.Read<IReadOnlyList<string>>(session =>
    {
        SqliteStatement read = session.Prepare("SELECT subject FROM outbox ORDER BY seq");
        var subjects = new List<string>();
        while (read.Step()) subjects.Add(read.Text(0));
        return subjects;
    }));

    public ValueTask DisposeAsync()
    {
        Database.Dispose();
        Directory.Delete(_folder, recursive: true);
        return default;
    }
}
