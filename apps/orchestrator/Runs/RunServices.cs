using Microsoft.Extensions.Options;
using MultiAgent.Models.Dispatch;
using MultiAgent.Orchestrator.Chat;
using MultiAgent.Orchestrator.Conversations.Compaction;
using MultiAgent.Orchestrator.Runs.Leases;
using MultiAgent.Orchestrator.Runs.Waits;
using MultiAgent.Orchestrator.Tools;

namespace MultiAgent.Orchestrator.Runs;

/// <summary>What every run works with.</summary>
internal sealed record RunServices(
    IRunStore Store, IRunLeases Leases, IRunWaits Waits, RunOwner Owner, IModelDispatcher Dispatcher, ToolRegistry Tools, IModelFacts Models, RunMetrics Metrics, RunJourneys Journeys, Summariser Summariser,
    IOptions<RunsOptions> Options, TimeProvider Time);
