using Microsoft.Extensions.Options;

namespace MultiAgent.Orchestrator.Webhooks;

/// <summary>Section <c>Webhooks</c>.</summary>
internal sealed class WebhookOptions
{
    /// <summary>True lets webhooks go to private and loopback addresses, and over http. Default false: public addresses and https alone.</summary>
    public bool AllowPrivateNetworks { get; set; }

    /// <summary>Seconds that one attempt may take. Default 15; 1 to 60.</summary>
    public double TimeoutSeconds { get; set; } = 15;

    /// <summary>Attempts at a time in this process. Default 32; 1 to 1 000. One endpoint has at most a quarter of them, so that a slow one does not hold the others.</summary>
    public int MaxConcurrent { get; set; } = 32;

    /// <summary>Days that ended deliveries are kept to be looked at and sent again. Default 30; 1 to 365.</summary>
    public int RetentionDays { get; set; } = 30;
}

internal sealed class WebhookOptionsValidator : IValidateOptions<WebhookOptions>
{
    public ValidateOptionsResult Validate(string? name, WebhookOptions options)
    {
        var errors = new List<string>();
        if (options.TimeoutSeconds is not (>= 1 and <= 60)) errors.Add($"Webhooks:TimeoutSeconds is {options.TimeoutSeconds}; set it between 1 and 60.");
        if (options.MaxConcurrent is < 1 or > 1000) errors.Add($"Webhooks:MaxConcurrent is {options.MaxConcurrent}; set it between 1 and 1000.");
        if (options.RetentionDays is < 1 or > 365) errors.Add($"Webhooks:RetentionDays is {options.RetentionDays}; set it between 1 and 365.");
        return errors.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(errors);
    }
}
