using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using MultiAgent.Contracts.Clients;
using MultiAgent.Data;
using MultiAgent.Hosting;
using MultiAgent.Hosting.Health;
using MultiAgent.Models;
using MultiAgent.Messaging;
using MultiAgent.Messaging.Seeding;
using MultiAgent.Orchestrator.A2A;
using MultiAgent.Orchestrator.Agents;
using MultiAgent.Orchestrator.Blackboards;
using MultiAgent.Orchestrator.Mcp;
using MultiAgent.Orchestrator.Chat;
using MultiAgent.Orchestrator.Completions;
using MultiAgent.Orchestrator.Conversations;
using MultiAgent.Orchestrator.Conversations.Compaction;
using MultiAgent.Orchestrator.Conversations.Takeover;
using MultiAgent.Orchestrator.Feedback;
using MultiAgent.Orchestrator.Memory;
using MultiAgent.Orchestrator.Responses;
using MultiAgent.Orchestrator.Runs;
using MultiAgent.Orchestrator.Runs.Leases;
using MultiAgent.Orchestrator.Runs.Storage;
using MultiAgent.Orchestrator.Runs.Waits;
using MultiAgent.Orchestrator.Schedules;
using MultiAgent.Orchestrator.Storage;
using MultiAgent.Orchestrator.Tools;
using MultiAgent.Orchestrator.Webhooks;
using MultiAgent.Orchestrator.Workflows.Compensations;
using MultiAgent.Orchestrator.Workflows.Execution;
using MultiAgent.Orchestrator.Workflows.Snapshots;
using MultiAgent.Orchestrator.Tools.Sources;
using MultiAgent.Orchestrator.Workflows.Definitions;

namespace MultiAgent.Orchestrator;

/// <summary>
/// Agents, conversations and runs. Needs a model dispatcher, an event spool and an outbox relay in the same process.
/// </summary>
public sealed class OrchestratorModule : IServiceModule
{
    internal const string ServiceName = "orchestrator";

    public string Name => ServiceName;

    public void AddServices(IHostApplicationBuilder builder)
    {
        IServiceCollection services = builder.Services;
        builder.AddMessaging();
        builder.AddTenantSeeding(ServiceName);
        services.AddModels(builder.Configuration);
        services.AddServiceDatabase<OrchestratorDb>(ServiceName, static (options, scope) => new OrchestratorDb(options, scope));
        services.AddPartitions(ServiceName, static data => [new("orchestrator.run_events", data.RunEventDays)]);
        services.AddOutbox(ServiceName);
        services.AddTools();
        services.AddPlatformMcp();
        services.TryAddSingleton<A2aTasks>();
        AddAgents(services);
        services.AddMemory();
        services.AddBlackboards();
        services.AddWorkflowDefinitions();
        AddRuns(services);
        services.AddStore<IConversationStore, SqliteConversationStore, PostgresConversationStore>();
        services.AddStore<ITakeoverStore, SqliteTakeoverStore, PostgresTakeoverStore>();
        services.AddStore<ISummaryStore, SqliteSummaryStore, PostgresSummaryStore>();
        services.TryAddSingleton<Summariser>();
        services.AddStore<IFeedbackStore, SqliteFeedbackStore, PostgresFeedbackStore>();
        services.TryAddSingleton<IAgentCompletions, AgentCompletions>();
        services.AddResponses();
        services.AddWebhooks();
        services.AddSchedules();
        services.AddDeadLetters();
    }

    public void MapEndpoints(IEndpointRouteBuilder routes)
    {
        routes.MapAgents();
        routes.MapWorkflows();
        routes.MapTools();
        routes.MapToolSources();
        routes.MapPlatformMcp();
        routes.MapA2a();
        routes.MapChat();
        routes.MapRuns();
        routes.MapApprovals();
        routes.MapEvents();
        routes.MapConversations();
        routes.MapTakeover();
        routes.MapCompaction();
        routes.MapMemories();
        routes.MapFeedback();
        routes.MapResponses();
        routes.MapWebhooks();
        routes.MapSchedules();
        routes.MapDeadLetters();
    }

    private static void AddAgents(IServiceCollection services)
    {
        services.TryAddSingleton<AgentCatalogue>();
        services.TryAddSingleton<AgentValidator>();
        services.TryAddSingleton<AgentCommands>();
        services.TryAddSingleton<AgentQueries>();
        services.TryAddEnumerable(ServiceDescriptor.Singleton<ITenantSeeder, ExampleAgents>());
    }

    private static void AddRuns(IServiceCollection services)
    {
        services.AddOptions<RunsOptions>().BindConfiguration("Runs").ValidateOnStart();
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IValidateOptions<RunsOptions>, RunsValidator>());
        services.AddStore<IRunStore, SqliteRunStore, PostgresRunStore>();
        services.AddStore<IRunLeases, SqliteRunLeases, PostgresRunLeases>();
        services.AddStore<IRunWaits, SqliteRunWaits, PostgresRunWaits>();
        services.TryAddSingleton<RunOwner>();
        services.TryAddSingleton<RunTakeUp>();
        services.TryAddSingleton<RunOutcomes>();
        services.TryAddSingleton<IModelFacts, CatalogueModelFacts>();
        services.TryAddSingleton<RunMetrics>();
        services.TryAddSingleton<RunJourneys>();
        services.TryAddSingleton<ToolRunner>();
        services.TryAddSingleton<RunServices>();
        services.TryAddSingleton<RunBell>();
        services.AddStore<IFlowSnapshotStore, SqliteFlowSnapshotStore, PostgresFlowSnapshotStore>();
        services.TryAddSingleton<FlowSnapshots>();
        services.TryAddSingleton<WorkflowExecutions>();
        services.TryAddSingleton<RunEngine>();
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IHealthProbe, RunEngineProbe>());
        // Before the recovery: services stop in reverse, and leases are kept while runs drain.
        services.AddHostedService<RunLeaseKeeper>();
        services.AddHostedService<RunRecovery>();
        services.TryAddSingleton<RunWaker>();
        services.AddHostedService(static provider => provider.GetRequiredService<RunWaker>());
        services.AddHostedService<RunKeyCleanup>();
        services.AddHostedService<SqliteRunEventRetention>();
    }
}
