"""`<dataset>/dataset`: post-generation. Reads complete row groups, writes the finished dataset, seals."""

import dagster as dg
from pydantic import Field

from sdg_assets.metadata import path_metadata, preview, table_schema
from sdg_assets.resources import StoreResource
from sdg_assets.spec import DatasetSpec
from sdg_core import api
from sdg_core.errors import SdgError
from sdg_core.store.row_groups import read_rows


class ProcessConfig(dg.Config):
    """Settings of post-generation."""

    allow_missing: bool = Field(default=False, description="Leave out records that failed for good.")


def build_dataset(spec: DatasetSpec) -> dg.AssetsDefinition:
    """The asset that turns row groups into the finished dataset."""
    descriptions = {column.name: column.description for column in spec.config.columns}

    @dg.asset(
        key=spec.dataset_key,
        deps=[spec.row_groups_key],
        code_version=spec.code_version,
        description=f"The finished dataset {spec.name}, sealed. {spec.config.description or ''}".strip(),
        kinds={"parquet"},
        **spec.asset_attributes,
    )
    def dataset(
        context: dg.AssetExecutionContext, config: ProcessConfig, store: StoreResource
    ) -> dg.MaterializeResult[None]:
        try:
            opened = api.open_dataset(spec.path, root=str(store.root_path()))
            result = api.process(opened, allow_missing=config.allow_missing)
        except SdgError as error:
            raise dg.Failure(description=str(error), allow_retries=False) from None
        if result.already_done:
            context.log.info("this version was processed before; nothing was written")
        schema = opened.plan.kept_schema
        first_part = result.version.processed_dataset / "part-00000.parquet"
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": result.num_rows,
                "dagster/uri": result.version.processed_dataset.as_uri(),
                "dagster/column_schema": table_schema(schema, descriptions),
                "config_fingerprint": opened.plan.fingerprint.config_hash,
                "records_missing": opened.plan.num_records - result.num_rows,
                "simulated": opened.plan.simulated,
                "adopted": result.already_done,
                "preview": preview(read_rows(first_part)),
                **{f"output/{path.name}": path_metadata(path) for path in result.outputs},
            }
        )

    return dataset
