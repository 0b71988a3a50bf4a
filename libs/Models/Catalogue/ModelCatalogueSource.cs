using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Microsoft.Extensions.Primitives;

namespace MultiAgent.Models.Catalogue;

/// <summary>
/// Holds the current catalogue. The first load must succeed or construction throws; when the configuration changes the
/// catalogue is replaced as a whole, and a change that is not valid is logged and leaves the old one in place.
/// </summary>
public sealed partial class ModelCatalogueSource : IDisposable
{
    private readonly IOptionsFactory<ModelsOptions> _factory;
    private readonly ILogger<ModelCatalogueSource> _logger;
    private readonly Lock _loading = new();
    private readonly IDisposable _subscription;
    private volatile ModelCatalogue _current;

    // Not IOptionsMonitor: it throws an invalid change into whoever triggered the reload, e.g. a file watcher's thread.
    internal ModelCatalogueSource(IOptionsFactory<ModelsOptions> factory, IConfiguration configuration, ILogger<ModelCatalogueSource> logger)
    {
        _factory = factory;
        _logger = logger;
        _current = CatalogueBuilder.Build(factory.Create(Options.DefaultName));
        LogLoaded(_current.List().Count, BuiltInCatalogue.Default.AsOf);
        _subscription = ChangeToken.OnChange(configuration.GetReloadToken, Reload);
    }

    /// <summary>The catalogue as of the last valid configuration.</summary>
    public ModelCatalogue Current => _current;

    /// <inheritdoc/>
    public void Dispose() => _subscription.Dispose();

    private void Reload()
    {
        lock (_loading)
        {
            try
            {
                _current = CatalogueBuilder.Build(_factory.Create(Options.DefaultName));
                LogReloaded(_current.List().Count);
            }
            catch (OptionsValidationException e)
            {
                LogRejected(string.Join(" ", e.Failures));
            }
            // A surprise in here must not reach the thread that noticed the change; the old catalogue still serves.
            catch (Exception e)
            {
                LogFailed(e);
            }
        }
    }

    [LoggerMessage(1, LogLevel.Debug, "Model catalogue loaded: {Count} names, built-in prices as of {AsOf}")]
    private partial void LogLoaded(int count, DateOnly asOf);

    [LoggerMessage(2, LogLevel.Information, "Model catalogue reloaded: {Count} names")]
    private partial void LogReloaded(int count);

    [LoggerMessage(3, LogLevel.Error, "The changed model configuration is not valid, the previous one stays in use: {Problems}")]
    private partial void LogRejected(string problems);

    [LoggerMessage(4, LogLevel.Error, "The changed model configuration could not be loaded, the previous one stays in use")]
    private partial void LogFailed(Exception exception);
}
