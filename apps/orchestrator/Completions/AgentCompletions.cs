using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using MultiAgent.Contracts;
using MultiAgent.Contracts.Clients;
using MultiAgent.Contracts.Identity;
using MultiAgent.Hosting.Errors;
using MultiAgent.Orchestrator.Agents;
using MultiAgent.Orchestrator.Chat;
using MultiAgent.Orchestrator.Conversations;
using MultiAgent.Orchestrator.Responses;
using MultiAgent.Orchestrator.Runs;
using MultiAgent.Orchestrator.Workflows;

namespace MultiAgent.Orchestrator.Completions;

/// <summary>
/// Agents behind the OpenAI surface. Tools that the client declares are the client's to execute: when the model calls one,
/// the turn ends and the call goes out. A turn may mix both kinds: the agent's own calls of that turn are made and kept in
/// the run, only the client's go out, and the request that brings their results starts a new run from the messages in it.
/// </summary>
internal sealed class AgentCompletions(AgentCatalogue agents, IWorkflowSource workflows, RunEngine engine, RunOutcomes outcomes) : IAgentCompletions
{
    public async ValueTask<IAgentCompletion> CompleteAsync(AgentCompletionRequest request, CancellationToken cancellationToken)
    {
        try
        {
            if (request.Agent.StartsWith(AgentCompletionRequest.WorkflowPrefix, StringComparison.Ordinal)) return await CompleteWorkflowAsync(request, cancellationToken);
            if (await agents.FindAsync(request.Caller.TenantId, request.Agent, cancellationToken) is not { } agent)
                return AgentCompletion.Error(404, ErrorCodes.ModelNotFound, $"The agent '{request.Agent}' does not exist.", "model");
            CompletionInput input = CompletionInput.Parse(request.Body);
            Check(agent, input);
            StartedRun started = await engine.StartAsync(new RunRequest
            {
                Caller = request.Caller,
                Agent = agent,
                Surface = RunInput.CompletionSurface,
                Input = new RunInput { Completion = input, Variables = input.Variables, Stream = request.Stream, ClientJourneyId = request.JourneyId },
                RequestId = request.RequestId,
                IdempotencyKey = request.IdempotencyKey,
                RequestHash = request.IdempotencyKey is null ? null : Hash(request),
                Metadata = input.User is { Length: > 0 and <= 512 } user ? JsonSerializer.Serialize(new Dictionary<string, string> { [RunUser.MetadataKey] = user }, ConversationJson.Default.IReadOnlyDictionaryStringString) : null,
            });
            return await AnswerAsync(request, input, started, cancellationToken);
        }
        catch (ApiException e)
        {
            return AgentCompletion.Error(e.Status, e.Code, e.Message, e.Param, retryAfter: e.RetryAfter);
        }
        catch (OverloadedException e)
        {
            return AgentCompletion.Error(503, ErrorCodes.Overloaded, e.Message, retryAfter: TimeSpan.FromSeconds(1));
        }
    }

    public async ValueTask<IReadOnlyList<AgentSummary>> ListAsync(Caller caller, CancellationToken cancellationToken) =>
        [.. await agents.ListAsync(caller.TenantId, cancellationToken), .. await workflows.ListAsync(caller.TenantId, cancellationToken)];

    /// <summary>What a client is told of a run that gave no answer.</summary>
    public static (int Status, string Code, string Message) Describe(RunOutcome? outcome) => outcome switch
    {
        null => (503, ErrorCodes.Overloaded, "The server is stopping; the run goes on without it."),
        { Run.Error: { } error } => (error.Status, error.Code, error.Message),
        _ => (400, ErrorCodes.RunCancelled, "The run was cancelled."),
    };

    /// <summary>A client of this surface cannot wait for days: of a run that rests, it is told so.</summary>
    private static RunOutcome? Told(RunOutcome? outcome) => outcome is not { Run: { IsResting: true } run, Message: null } ? outcome : outcome with
    {
        Message = new FinalMessage { Id = Ids.New("msg", run.CreatedAt), FinishReason = "stop", Text = Encoding.UTF8.GetBytes(run.Status == RunStatus.Paused
            ? $"Run {run.Id} is paused, and goes on when it is resumed." : $"This needs the approval of a person first, or waits for an event or a time. Run {run.Id} goes on when it is there.") },
    };

    /// <summary>A workflow's run goes on when its client leaves: what it has begun is not undone for a lost connection.</summary>
    private async ValueTask<IAgentCompletion> CompleteWorkflowAsync(AgentCompletionRequest request, CancellationToken cancellationToken)
    {
        string[] name = request.Agent[AgentCompletionRequest.WorkflowPrefix.Length..].Split('@', 2);
        if (await workflows.FindAsync(request.Caller.TenantId, name[0], name.Length > 1 ? name[1] : null, cancellationToken) is not { } workflow)
            return AgentCompletion.Error(404, ErrorCodes.ModelNotFound, $"The workflow '{name[0]}' does not exist.", "model");
        CompletionInput input = CompletionInput.Parse(request.Body);
        if (input.Tools.Count > 0) throw new ApiException(400, ErrorCodes.InvalidRequest, "A workflow has tools of its own alone: leave out 'tools'.", "tools");
        StartedRun started = await engine.StartAsync(new RunRequest
        {
            Caller = request.Caller,
            Workflow = workflow,
            Surface = RunInput.CompletionSurface,
            Input = new RunInput { Inputs = WorkflowText.Inputs(workflow, input.Messages, "messages"), Stream = request.Stream, ClientJourneyId = request.JourneyId },
            RequestId = request.RequestId,
            IdempotencyKey = request.IdempotencyKey,
            RequestHash = request.IdempotencyKey is null ? null : Hash(request),
        });
        if (request.Stream) return StreamedCompletion.OfOutcome(started, input.IncludeUsage, async left => Answered(await outcomes.WaitAsync(started, left)));
        RunOutcome? outcome = Answered(await outcomes.WaitAsync(started, cancellationToken));
        if (outcome is { Run.Status: RunStatus.Completed }) return new AgentCompletion(200, started.Run.Id, CompletionWriter.Whole(outcome));
        (int status, string code, string message) = Describe(outcome);
        return AgentCompletion.Error(status, code, message, runId: started.Run.Id, retryAfter: status is 429 or 503 ? TimeSpan.FromSeconds(1) : null);
    }

    private static RunOutcome? Answered(RunOutcome? outcome) => outcome is not { Run.Status: RunStatus.Completed } ? outcome
        : outcome with { Message = new FinalMessage { Id = outcome.Run.Id, Text = Encoding.UTF8.GetBytes(WorkflowText.OfOutput(outcome.Run.Output)), FinishReason = "stop" } };

    private async ValueTask<IAgentCompletion> AnswerAsync(AgentCompletionRequest request, CompletionInput input, StartedRun started, CancellationToken cancellationToken)
    {
        // In another process: its text cannot be followed here, but its answer can be told.
        if (started is { Live: null, Outcome: null })
        {
            if (await outcomes.WaitAsync(started, cancellationToken, orRest: true) is not { } there) return AgentCompletion.Error(503, ErrorCodes.Overloaded, Describe(null).Message, runId: started.Run.Id, retryAfter: TimeSpan.FromSeconds(1));
            started = started with { Outcome = Told(there) };
        }
        var follower = new Follower(started.Live, cancellationToken);
        bool keep = false;
        try
        {
            RunOutcome? outcome;
            if (request.Stream)
            {
                (StreamedCompletion? stream, outcome) = await StreamedCompletion.StartAsync(started, input.IncludeUsage, async token => Told(await outcomes.WaitAsync(started, token, orRest: true)), follower.Leave, cancellationToken);
                keep = stream is not null;
                if (stream is not null) return stream;
            }
            else
            {
                outcome = Told(await outcomes.WaitAsync(started, cancellationToken, orRest: true));
                if (outcome is { Run.Status: RunStatus.Completed or RunStatus.Waiting or RunStatus.Paused, Message: not null }) return new AgentCompletion(200, started.Run.Id, CompletionWriter.Whole(outcome));
            }
            (int status, string code, string message) = Describe(outcome);
            return AgentCompletion.Error(status, code, message, runId: started.Run.Id, retryAfter: status is 429 or 503 ? TimeSpan.FromSeconds(1) : null);
        }
        finally
        {
            if (!keep) follower.Leave();
        }
    }

    /// <summary>What a client's request must fit to be answered by an agent.</summary>
    public static void Check(CompiledAgent agent, CompletionInput input)
    {
        foreach (string name in input.ToolNames)
        {
            if (agent.Tools.ContainsKey(name))
                throw new ApiException(400, ErrorCodes.InvalidRequest, $"The agent has a tool '{name}' of its own. Rename yours.", "tools");
        }
        if (agent.Instructions.Check(input.Variables) is { Count: > 0 } wrong)
            throw new ApiException(400, ErrorCodes.ValidationFailed, $"variables: {string.Join(" ", wrong)}", "variables");
    }

    private static string Hash(AgentCompletionRequest request)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData(Encoding.UTF8.GetBytes(request.Agent + "\n"));
        hash.AppendData(request.Body.Span);
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    /// <summary>One client that waits for a run. When the last of a run's clients leaves, the run is cancelled.</summary>
    private sealed class Follower
    {
        private readonly LiveRun? _live;
        private readonly CancellationTokenRegistration _registration;
        private int _left;

        public Follower(LiveRun? live, CancellationToken cancellationToken)
        {
            _live = live;
            live?.Follow();
            _registration = cancellationToken.UnsafeRegister(static state => ((Follower)state!).Leave(), this);
        }

        public void Leave()
        {
            if (Interlocked.Exchange(ref _left, 1) != 0) return;
            _live?.Unfollow();
            _registration.Unregister();
        }
    }
}
