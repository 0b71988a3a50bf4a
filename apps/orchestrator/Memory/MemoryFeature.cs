using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using MultiAgent.Data;
using MultiAgent.Orchestrator.Tools;

namespace MultiAgent.Orchestrator.Memory;

/// <summary>Settings of long-term memory.</summary>
internal sealed class MemoryOptions
{
    /// <summary>Days after which a fact that was not found any more is forgotten. Default 365; 1 to 3 650.</summary>
    public int ForgetAfterDays { get; set; } = 365;
}

internal sealed class MemoryValidator : IValidateOptions<MemoryOptions>
{
    public ValidateOptionsResult Validate(string? name, MemoryOptions options) => options.ForgetAfterDays is >= 1 and <= 3650 ? ValidateOptionsResult.Success
        : ValidateOptionsResult.Fail($"Memory:ForgetAfterDays is {options.ForgetAfterDays}; set it between 1 and 3650.");
}

/// <summary>Puts long-term memory together.</summary>
internal static class MemoryFeature
{
    public static void AddMemory(this IServiceCollection services)
    {
        services.AddOptions<MemoryOptions>().BindConfiguration("Memory").ValidateOnStart();
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IValidateOptions<MemoryOptions>, MemoryValidator>());
        services.AddStore<IMemoryStore, SqliteMemoryStore, PostgresMemoryStore>();
        services.TryAddEnumerable(ServiceDescriptor.Singleton<ITool, RememberTool>());
        services.TryAddEnumerable(ServiceDescriptor.Singleton<ITool, RecallTool>());
        services.TryAddEnumerable(ServiceDescriptor.Singleton<ITool, ForgetTool>());
        services.AddHostedService<MemoryFading>();
    }
}

/// <summary>Forgets facts that were not used for long; daily, in batches.</summary>
internal sealed partial class MemoryFading(IMemoryStore store, IOptions<MemoryOptions> options, TimeProvider time, ILogger<MemoryFading> logger) : BackgroundService
{
    private const int Batch = 1000;

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(TimeSpan.FromDays(1), time);
        do
        {
            try
            {
                while (await store.ForgetUnusedAsync(time.GetUtcNow().AddDays(-options.Value.ForgetAfterDays), Batch) == Batch) stoppingToken.ThrowIfCancellationRequested();
            }
            catch (Exception e) when (e is not OperationCanceledException)
            {
                LogFailed(e);
            }
        }
        while (await timer.WaitForNextTickAsync(stoppingToken));
    }

    [LoggerMessage(EventId = 1, EventName = "MemoryNotFaded", Level = LogLevel.Warning, Message = "Facts that were not used for long could not be forgotten; trying again in a day")]
    private partial void LogFailed(Exception e);
}
