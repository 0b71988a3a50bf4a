using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using MultiAgent.Bench.Usage;
using MultiAgent.Contracts;
using MultiAgent.Contracts.Clients;
using MultiAgent.Contracts.Identity;
using MultiAgent.Hosting;
using MultiAgent.Messaging;
using MultiAgent.Models.Dispatch;
using MultiAgent.Orchestrator;
using MultiAgent.Orchestrator.Agents;
using MultiAgent.Orchestrator.Runs;
using MultiAgent.Orchestrator.Tools;
using MultiAgent.Orchestrator.Workflows;
using MultiAgent.Workflows;

namespace MultiAgent.Bench.Engine;

/// <summary>The orchestrator in this process with its durable stores as they come, and a model and a tool without delay.</summary>
internal sealed class EngineHost : IAsyncDisposable
{
    public const string Tenant = "ten_bench";

    private static readonly Caller Caller = new() { TenantId = Tenant, TenantSlug = "bench", Scopes = Scopes.All, Limits = new TenantLimits { ConcurrentRuns = 1_000_000 } };

    private readonly string _folder = Directory.CreateTempSubdirectory("maap-engine-bench").FullName;
    private readonly WebApplication _app;

    private EngineHost(PostgresProcess? postgres, string? natsUrl, BenchWorkflows workflows)
    {
        Workflows = workflows;
        _app = PlatformHost.Build("bench", ["--urls", "http://127.0.0.1:0"], [new OrchestratorModule()], builder =>
        {
            builder.Configuration.AddInMemoryCollection(new Dictionary<string, string?>
            {
                ["Data:Directory"] = _folder, ["DATABASE_URL"] = postgres?.AppUrl, ["DATABASE_ADMIN_URL"] = postgres?.OwnerUrl, ["NATS_URL"] = natsUrl,
                ["Runs:StalledAfterSeconds"] = "100000",
            });
            builder.Logging.SetMinimumLevel(LogLevel.Error);
            builder.Services.AddSingleton<ITenantDirectory, NoTenants>();
            builder.Services.AddSingleton<IModelDispatcher>(Model);
            builder.Services.AddSingleton<IEventSpool, NoSpool>();
            builder.Services.AddSingleton<IWorkflowSource>(workflows);
            builder.Services.AddSingleton<ITool, ZeroTool>();
            builder.Services.PostConfigure<HostOptions>(options => options.ShutdownTimeout = TimeSpan.FromSeconds(10));
        });
    }

    public BenchWorkflows Workflows { get; }

    public ZeroModel Model { get; } = new();

    public IServiceProvider Services => _app.Services;

    public RunEngine Engine => Services.GetRequiredService<RunEngine>();

    public static async Task<EngineHost> StartAsync(PostgresProcess? postgres = null, string? natsUrl = null)
    {
        var host = new EngineHost(postgres, natsUrl, new BenchWorkflows());
        await PlatformHost.StartAsync(host._app);
        AgentCommands agents = host.Services.GetRequiredService<AgentCommands>();
        await agents.CreateAsync(Tenant, new AgentSpec { Slug = "bench", Name = "Bench", Instructions = "Answer briefly.", Model = "zero/model" }, "bench", default);
        await agents.CreateAsync(Tenant, new AgentSpec { Slug = ZeroModel.Caller, Name = "Caller", Instructions = "Call the tool.", Model = "zero/model", Tools = [new AgentTool { Name = "zero" }], Limits = new AgentLimits { MaxSteps = 100 } }, "bench", default);
        return host;
    }

    /// <summary>Starts a run of a workflow; it is durable when this returns.</summary>
    public ValueTask<StartedRun> StartAsync(string workflow) => Engine.StartAsync(new RunRequest
    {
        Caller = Caller,
        Workflow = Workflows.Find(workflow),
        Surface = RunInput.RunSurface,
        Input = new RunInput { Inputs = JsonSerializer.SerializeToElement(new { }), Stream = false },
        RequestId = "bench",
    });

    /// <summary>Runs a workflow to its end.</summary>
    public async Task<RunRecord> RunAsync(string workflow) => await EndAsync(await StartAsync(workflow));

    /// <summary>Has the agent that calls the tool do so, to its answer.</summary>
    public async Task<RunRecord> RunCallerAsync() => await EndAsync(await Engine.StartAsync(new RunRequest
    {
        Caller = Caller,
        Agent = await Services.GetRequiredService<AgentCatalogue>().FindAsync(Tenant, ZeroModel.Caller, default),
        Surface = RunInput.RunSurface,
        Input = new RunInput { Message = "How long does an order to Hue take", MessageId = Ids.New("msg", TimeProvider.System), Stream = false },
        RequestId = "bench",
    }));

    private async Task<RunRecord> EndAsync(StartedRun started)
    {
        RunRecord run = (await Services.GetRequiredService<RunOutcomes>().WaitAsync(started, default))!.Run;
        return run.Status == RunStatus.Completed ? run : throw new InvalidOperationException($"{run.Id}: {run.Status} {run.Error}");
    }

    public async ValueTask DisposeAsync()
    {
        await _app.StopAsync();
        await _app.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
    }

    private sealed class NoTenants : ITenantDirectory
    {
        public ValueTask<Caller?> FindByApiKeyAsync(string presentedKey, CancellationToken cancellationToken) => new((Caller?)null);

        public ValueTask<Caller?> FindByAccessTokenAsync(string token, CancellationToken cancellationToken) => new((Caller?)null);
    }

    // Journeys are of no interest here, and the spool's files are not the engine's.
    private sealed class NoSpool : IEventSpool
    {
        public bool IsNearlyFull => false;

        public bool Append(SpoolKind kind, ReadOnlySpan<byte> record) => true;
    }
}

/// <summary>The workflows that are measured.</summary>
internal sealed class BenchWorkflows : IWorkflowSource
{
    public const int Steps = 20;

    private readonly Dictionary<string, WorkflowVersion> _bySlug = [];

    public BenchWorkflows()
    {
        Add("tools", string.Concat(Enumerable.Range(0, Steps).Select(i => $"  - {{id: t{i}, type: tool, tool: zero, arguments: {{n: {i}}}}}\n")));
        Add("agents", string.Concat(Enumerable.Range(0, Steps).Select(i => $"  - {{id: a{i}, type: agent, agent: bench, message: How long does an order to Hue take}}\n")));
        Add("long", "  - id: many\n    type: map\n    over: \"{{ (1..4998) }}\"\n    concurrency: 1\n    maxItems: 10000\n    steps:\n      - {id: one, type: transform, output: {n: \"{{ item }}\", text: an output of some length as steps have}}\n  - {id: rests, type: wait, event: never}\n", "limits: {maxSteps: 100000}\n");
        Add("parked", "  - {id: came, type: wait, event: go}\n");
    }

    public WorkflowVersion Find(string slug) => _bySlug[slug];

    public ValueTask<WorkflowVersion?> FindAsync(string tenantId, string slug, string? selector, CancellationToken cancellationToken) => new(_bySlug.GetValueOrDefault(slug));

    public ValueTask<IReadOnlyList<AgentSummary>> ListAsync(string tenantId, CancellationToken cancellationToken) => new([]);

    public ValueTask<WorkflowVersion?> FindVersionAsync(string tenantId, string workflowId, int version, CancellationToken cancellationToken) => new(_bySlug.GetValueOrDefault(workflowId["wfl_".Length..]));

    private void Add(string name, string steps, string more = "")
    {
        WorkflowReading reading = WorkflowReader.Read($"apiVersion: maap/v1\nkind: Workflow\nname: {name}\n{more}steps:\n{steps}");
        if (reading.Problems.Count > 0) throw new InvalidOperationException(string.Join('\n', reading.Problems));
        _bySlug[name] = new WorkflowVersion($"wfl_{name}", EngineHost.Tenant, name, 1, reading.Definition!);
    }
}
