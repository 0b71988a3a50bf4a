namespace MultiAgent.Orchestrator.Schedules;

/// <summary>Starts and stops the runs of schedules.</summary>
internal interface IFiringStarter
{
    /// <summary>The firing's run is there: an earlier attempt started it and could not say so.</summary>
    ValueTask<bool> IsStartedAsync(Firing firing);

    /// <summary>Starts the run; twice is once. Returns why not, for good; null when it is started.</summary>
    /// <exception cref="Hosting.Errors.ApiException">Not now: a limit, a lack of room.</exception>
    ValueTask<string?> StartAsync(Schedule schedule, Firing firing, CancellationToken cancellationToken);

    /// <summary>Asks for a run to be cancelled.</summary>
    ValueTask CancelAsync(string tenantId, string runId);
}
