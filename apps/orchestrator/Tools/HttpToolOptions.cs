using Microsoft.Extensions.Options;

namespace MultiAgent.Orchestrator.Tools;

/// <summary>Section <c>Tools:Http</c>: the tool <c>http_request</c>.</summary>
internal sealed class HttpToolOptions
{
    /// <summary>True lets the tool reach private and loopback addresses, still only the hosts that an agent allows. Default false.</summary>
    public bool AllowPrivateNetworks { get; set; }

    /// <summary>Seconds that one call may take, redirects included, unless the agent says otherwise. Default 20; 0.1 to 300.</summary>
    public double TimeoutSeconds { get; set; } = 20;

    /// <summary>Bytes of a response that are read; the rest is cut with a note. Default 262 144; 1 024 to 4 194 304.</summary>
    public int MaxResponseBytes { get; set; } = 256 * 1024;
}

internal sealed class HttpToolValidator : IValidateOptions<HttpToolOptions>
{
    public ValidateOptionsResult Validate(string? name, HttpToolOptions options)
    {
        var errors = new List<string>();
        if (options.TimeoutSeconds is not (>= 0.1 and <= 300)) errors.Add($"Tools:Http:TimeoutSeconds is {options.TimeoutSeconds}; set it between 0.1 and 300.");
        if (options.MaxResponseBytes is < 1024 or > 4 * 1024 * 1024) errors.Add($"Tools:Http:MaxResponseBytes is {options.MaxResponseBytes}; set it between 1024 and 4194304.");
        return errors.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(errors);
    }
}
