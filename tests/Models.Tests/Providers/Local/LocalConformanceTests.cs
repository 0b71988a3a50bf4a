using MultiAgent.Models.Catalogue;
using MultiAgent.Models.Providers;
using MultiAgent.Models.Providers.Local;

namespace MultiAgent.Models.Tests.Providers.Local;

public sealed class LocalConformanceTests : ModelProviderConformance
{
    protected override IModelProvider Provider { get; } = new LocalProvider(TimeProvider.System);

    protected override Deployment Deployment { get; } = Calls.Deployment("local", "assistant");
}
