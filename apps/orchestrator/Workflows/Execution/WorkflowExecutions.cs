using Microsoft.Extensions.Options;
using MultiAgent.Orchestrator.Agents;
using MultiAgent.Orchestrator.Blackboards;
using MultiAgent.Orchestrator.Runs;
using MultiAgent.Orchestrator.Runs.Waits;
using MultiAgent.Orchestrator.Workflows.Snapshots;

namespace MultiAgent.Orchestrator.Workflows.Execution;

/// <summary>Makes what executes a workflow.</summary>
internal sealed class WorkflowExecutions(RunServices services, ToolRunner tools, AgentCatalogue agents, IWorkflowSource workflows, IRunWaits waits, ChildRuns children, RunBlackboards boards, FlowSnapshots snapshots, IOptions<RunsOptions> options)
{
    /// <param name="engine">Runs the agents of its steps.</param>
    /// <param name="live">The run.</param>
    /// <param name="workflow">What it runs.</param>
    /// <param name="log">After <c>run.started</c>.</param>
    /// <param name="done">What the log has already: for a run that goes on from an earlier one, what that did.</param>
    public WorkflowExecution Begin(RunEngine engine, LiveRun live, WorkflowVersion workflow, RunLog log, IReadOnlyList<RunEvent> done) => Create(engine, live, workflow, log, FlowState.Rebuild(done), 0);

    /// <summary>Goes on where the log ends.</summary>
    public WorkflowExecution Resume(RunEngine engine, LiveRun live, WorkflowVersion workflow, RunLog log, StoredFlow stored) => Create(engine, live, workflow, log, stored.State, stored.SnapshotSeq);

    private WorkflowExecution Create(RunEngine engine, LiveRun live, WorkflowVersion workflow, RunLog log, FlowState state, long snapshotSeq)
    {
        var journal = new FlowJournal(services, live, log, new SnapshotPace(snapshots, live, snapshotSeq));
        var flow = new Flow(live, workflow, state, journal, new FlowWaits(waits, live, services.Time), services.Time, options.Value);
        var answers = new AgentCalls(flow, new Waiting(flow), engine, children, services, agents);
        var board = new FlowBoard(flow, boards);
        var steps = new StepRunner(flow, board, answers, new ToolCalls(flow, board, services, tools), workflows, services.Metrics);
        return new WorkflowExecution(services, flow, board, steps);
    }
}

/// <summary>What all parts of one run of a workflow share.</summary>
internal sealed record Flow(LiveRun Live, WorkflowVersion Workflow, FlowState State, FlowJournal Journal, FlowWaits Waits, TimeProvider Time, RunsOptions Options)
{
    public RunRecord Run => Live.Record;
}
